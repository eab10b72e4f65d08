//! A request as the receiver's HTTP server hands it over.

use crate::HopRefusal;

/// What of a request matters here.
#[derive(Clone, Copy)]
pub struct ReceivedRequest<'a> {
    /// The method as received.
    pub method: &'a str,
    /// The whole URL under which the sender knows this service: its public origin, and path and query
    /// exactly as they stand in the request line.
    pub url: &'a str,
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The `DPoP` header.
    pub dpop: Option<&'a str>,
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<&'a str>,
    /// The `Content-Type` header.
    pub content_type: Option<&'a str>,
    /// The body, whole and undecoded.
    pub body: &'a [u8],
}

impl<'a> ReceivedRequest<'a> {
    /// Picks the four headers out of all. Names may be in any case.
    ///
    /// # Errors
    /// [`HopRefusal::Headers`] when one of the four is there twice (which one would count?) or isn't
    /// visible ASCII.
    pub fn from_headers(
        method: &'a str,
        url: &'a str,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        body: &'a [u8],
    ) -> Result<Self, HopRefusal> {
        let (mut authorization, mut dpop, mut idempotency_key, mut content_type) = (None, None, None, None);
        for (name, value) in headers {
            let (name, slot) = if name.eq_ignore_ascii_case("authorization") {
                ("Authorization", &mut authorization)
            } else if name.eq_ignore_ascii_case("dpop") {
                ("DPoP", &mut dpop)
            } else if name.eq_ignore_ascii_case("idempotency-key") {
                ("Idempotency-Key", &mut idempotency_key)
            } else if name.eq_ignore_ascii_case("content-type") {
                ("Content-Type", &mut content_type)
            } else {
                continue;
            };
            let text = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| matches!(b, 0x20..=0x7e)));
            if slot.replace(text.ok_or(HopRefusal::Headers(name))?).is_some() {
                return Err(HopRefusal::Headers(name));
            }
        }
        Ok(Self { method, url, authorization, dpop, idempotency_key, content_type, body })
    }
}
