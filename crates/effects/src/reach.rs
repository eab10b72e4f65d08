//! Where a function is in the environment of a call.

use mandate_directory::{ConnectionSpec, Endpoint};
use mandate_gate::{Call, PrepareError};

/// The connection, and its endpoint in the call's environment.
///
/// # Errors
/// [`PrepareError::NoDestination`] when nobody connected the function there.
pub(crate) fn endpoint<'a>(
    connection: Option<&'a ConnectionSpec>,
    call: &Call,
) -> Result<(&'a ConnectionSpec, &'a Endpoint), PrepareError> {
    let found = connection.and_then(|c| Some((c, c.environments.get(&call.environment)?)));
    found.ok_or_else(|| PrepareError::NoDestination {
        function: call.function.clone(),
        environment: call.environment.clone(),
    })
}
