//! The closed list of problem types: `https://mandate.dev/problems/CODE`. A code that is here stays, and
//! means what it means; the description of the interface and the guide list the same ones.

/// Every code that an answer over HTTP can have, with what it means.
pub const PROBLEM_TYPES: &[(&str, &str)] = &[
    ("already-decided", "The approval was answered before, or its run has ended."),
    ("already-set-up", "The tenant has administrators already."),
    ("approval-late", "The approval has run out of time."),
    ("authority-revoked", "What the request rests on was revoked."),
    ("comment-not-plain", "The comment holds characters that can't be seen."),
    ("comment-too-long", "The comment is too long."),
    ("conflict", "Somebody else changed the same thing first."),
    ("connection-kind", "The function's target does not fit the kind of its connection."),
    ("credential-exchanged-only", "The credential is exchanged for tokens, and goes nowhere itself."),
    ("csrf", "A request with a session's cookie was not made by one of our pages."),
    ("destination-not-allowed", "The credential's owner does not let it go there."),
    ("digest-mismatch", "The answer is for something else than what waits."),
    ("draining", "The node is being stopped and begins nothing new; another one will answer."),
    ("duplicate-start", "The Idempotency-Key started another run before."),
    ("event-source-unknown", "No event source lets the caller speak for that `source`."),
    ("event-time", "The event is too old, of the future, or does not say when it happened."),
    ("event-type-not-allowed", "The event source may not send events of that type."),
    ("events-throttled", "Too many events came, or wait to be handed on."),
    ("exchange-not-allowed", "The credential's owner does not let it be exchanged for tokens there."),
    ("form-mismatch", "The answer does not fit the form."),
    ("function-not-listed", "The Worker calls a function that its manifest does not list."),
    ("grant-missing", "There is no grant for this use of the credential."),
    ("grant-stale", "The grant was given to another version, environment or time."),
    ("inexact-number", "An integer beyond 2^53 is not exact in JSON."),
    ("input-mismatch", "The input does not fit the Worker's schema."),
    ("internal", "Something went wrong here; the server's log says what."),
    ("invalid-body", "The body is not JSON of the expected shape."),
    ("invalid-connection", "A Connection contradicts itself."),
    ("invalid-cursor", "The cursor or event id is not one that was given here."),
    ("invalid-event", "It is not a CloudEvent that can be taken; none of the request was."),
    ("invalid-grant", "The grant can't be given like that."),
    ("invalid-idempotency-key", "The Idempotency-Key is not 1 to 200 visible ASCII characters."),
    ("invalid-manifest", "A manifest is not valid; nothing was applied."),
    ("invalid-manifests", "The list of manifests is empty or too long."),
    ("invalid-policy", "A policy does not compile; nothing was applied."),
    ("invalid-precondition", "If-Match, If-None-Match or an expected version can't be understood."),
    ("invalid-query", "The query string is not valid."),
    ("invalid-return-to", "The way back from sign-in does not lead to a page of ours."),
    ("invalid-secret", "The secret's value is not valid."),
    ("invalid-start", "The run can't be started like that."),
    ("invalid-worker", "A Worker contradicts itself."),
    ("ledger-damaged", "The ledger is not what was written."),
    ("locked-out", "Too many wrong tokens came from this address."),
    ("model-not-supported", "The identity model does not fit the function."),
    ("no-audience", "The function acts on a person's authority, and its connection takes no token."),
    ("no-destination", "The function's system is not connected in this environment."),
    ("no-schedule", "The Worker has no schedule."),
    ("no-such-method", "The path does not take that method."),
    ("not-cloudevents", "The body has to be a CloudEvent."),
    ("not-found", "It is absent, or the caller may not see it."),
    ("not-json", "The body has to be application/json."),
    ("not-recordable", "What can't be recorded is not done."),
    ("not-the-holder", "Somebody else's standing grant is in force."),
    ("not-the-owner", "Only the credential's owner may."),
    ("nothing-in-doubt", "The run has no step whose outcome is unknown."),
    ("nothing-to-undo", "Nothing that the run did can be undone, or all of it was."),
    ("outside-authority", "The request is outside the authority it rests on."),
    ("policy-denied", "A policy forbids it, or none permits it."),
    ("policy-failed", "Policy could not be evaluated, so it is refused."),
    ("provider-unavailable", "The identity provider can't be asked now."),
    ("quarantined", "The state was restored from a backup and not released: it can be looked at, and nothing else."),
    ("row-forged", "A row of the database is not as the server wrote it."),
    ("run-not-ended", "The run has not ended."),
    ("second-word", "Somebody else has to answer this approval."),
    ("sign-in-refused", "Nobody was signed in."),
    ("sign-in-throttled", "Too many sign-ins from this address."),
    ("slot-missing", "A credential is bound to a function without a slot."),
    ("slot-unbound", "A credential slot is bound to nothing."),
    ("start-throttled", "Too many starts."),
    ("switched-off", "It needs something that the operator has not turned on."),
    ("token-algorithm", "The token is not signed as it must be."),
    ("token-altered", "The token is not what its issuer signed."),
    ("token-expired", "The token has expired."),
    ("token-foreign", "Nobody here trusts the token's issuer."),
    ("token-malformed", "The token can't be understood."),
    ("token-not-yet-valid", "The token is not valid yet."),
    ("token-wrong-audience", "The token is for somebody else."),
    ("token-wrong-type", "The token is of another kind."),
    ("too-large", "The body is too large."),
    ("too-many-runs", "The tenant or the Worker has as many runs as the server drives at one time."),
    ("too-many-streams", "Too many streams are open."),
    ("two-cookies", "A cookie is there twice."),
    ("two-identities", "A token and a session came in one request."),
    ("unauthenticated", "Nobody is signed in."),
    ("unavailable", "Not now; nothing was changed."),
    ("unknown-connection", "A manifest names a connection that does not exist."),
    ("unknown-credential", "A manifest names a credential that does not exist."),
    ("unknown-function", "A manifest names a function that does not exist."),
    ("unknown-resource", "What was named does not exist."),
    ("version-mismatch", "The resource is at another version than was expected; nothing was changed."),
    ("would-lock-out", "Nobody could change policies any more under the new ones."),
    ("wrong-environment", "The credential belongs to another environment."),
    ("wrong-host", "The server does not go by that name."),
];

/// Whether a code is on the list.
pub(crate) fn is_known(code: &str) -> bool {
    meaning(code).is_some()
}

/// What a code means.
pub(crate) fn meaning(code: &str) -> Option<&'static str> {
    PROBLEM_TYPES.iter().find(|(known, _)| *known == code).map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_list_is_in_order_and_without_repetition() {
        assert!(PROBLEM_TYPES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    /// Texts that look like codes, after a place where codes stand.
    fn codes(source: &str) -> Vec<String> {
        let mut found = Vec::new();
        for begins in ["Problem::new(", "Problem::invalid(", "Self::new(", "Self::invalid(", "conflict(", "too_many("] {
            for (at, _) in source.match_indices(begins) {
                let rest = &source[at + begins.len()..];
                let rest = rest.split(')').next().unwrap_or_default();
                let Some(text) = rest.split('"').nth(1) else { continue };
                if !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') {
                    found.push(text.to_owned());
                }
            }
        }
        found
    }

    #[test]
    fn every_code_in_the_sources_is_listed() {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        let mut found = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                for code in codes(&std::fs::read_to_string(&path).unwrap()) {
                    found += 1;
                    assert!(is_known(&code), "{}: `{code}` is not in PROBLEM_TYPES", path.display());
                }
            }
        }
        assert!(found > 30, "{found}: the scan no longer sees them");
    }
}
