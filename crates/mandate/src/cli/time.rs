//! Times as people and HTTP write them.

pub(crate) use mandate_kernel::{parse_http, parse_utc};
