//! Functions inside this process. They reach nothing outside.

use async_trait::async_trait;
use mandate_directory::{FunctionSpec, LocalTarget};
use mandate_gate::{
    Call, Claimed, Credentials, Effect, EffectFailure, PrepareError, Prepared, Reply, Request, Slot, Spent,
};
use mandate_identity::Audience;
use mandate_kernel::{Digest, canonical_json};
use serde_json::Value;
use std::sync::Arc;

/// A function of this process: arguments in, value or a sentence on what is wrong out. It must be
/// quick and must reach nothing outside.
pub type LocalFunction = Arc<dyn Fn(&Value) -> Result<Value, String> + Send + Sync>;

/// Calls one registered function.
pub(crate) struct LocalEffect {
    spec: FunctionSpec,
    target: LocalTarget,
    function: Option<LocalFunction>,
}

impl LocalEffect {
    pub(crate) const fn new(spec: FunctionSpec, target: LocalTarget, function: Option<LocalFunction>) -> Self {
        Self { spec, target, function }
    }
}

/// Judged, named in tokens and leased for like any other destination.
fn destination(name: &str) -> String {
    format!("local:{name}")
}

#[async_trait]
impl Effect for LocalEffect {
    fn prepare(&self, call: &Call) -> Result<Prepared, PrepareError> {
        let definition = |why: String| PrepareError::Definition { function: call.function.clone(), why };
        let arguments = |why: String| PrepareError::Arguments { function: call.function.clone(), why };
        if self.function.is_none() {
            return Err(definition(format!("no function `{}` is registered in this process", self.target.name)));
        }
        self.spec.check_arguments(&call.arguments).map_err(arguments)?;
        let bytes = canonical_json(&call.arguments).map_err(|e| arguments(e.to_string()))?;
        let audience =
            Audience::new(format!("urn:mandate:local:{}", self.target.name)).map_err(|e| definition(e.to_string()))?;
        Ok(Prepared {
            request: Request::Local { name: self.target.name.clone(), arguments: bytes },
            destination: destination(&self.target.name),
            audience: Some(audience),
            slot: self.target.credential.then(|| Slot::Header { name: "credential".to_owned(), prefix: String::new() }),
        })
    }

    async fn perform(&self, spent: &Spent, credentials: Credentials) -> Result<Reply, EffectFailure> {
        if credentials.leased.is_some() != spent.prepared().slot.is_some() {
            let detail = "a slot without a leased credential, or a credential without a slot".to_owned();
            return Err(EffectFailure::Definite { status: 500, detail });
        }
        self.run(&spent.prepared().request)
    }
}

impl LocalEffect {
    fn run(&self, request: &Request) -> Result<Reply, EffectFailure> {
        let definite = |detail: String| EffectFailure::Definite { status: 500, detail };
        let (Request::Local { name, arguments }, Some(function)) = (request, &self.function) else {
            return Err(definite("the permit is for another kind of effect".to_owned()));
        };
        if *name != self.target.name {
            return Err(definite("the permit is for another function of this process".to_owned()));
        }
        let arguments =
            serde_json::from_slice(arguments).map_err(|_| definite("the arguments are not JSON".to_owned()))?;
        let value = function(&arguments).map_err(|why| definite(format!("{name}: {why}")))?;
        let bytes = canonical_json(&value).map_err(|e| definite(format!("{name}: {e}")))?;
        Ok(Reply { value, observed: Digest::of(&bytes), claimed: Claimed::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Effects;
    use mandate_kernel::{Environment, Limits, RunId, StepKey, StepSeq, SystemEntropy, Timestamp};
    use serde_json::json;

    fn call(arguments: Value) -> Call {
        let run = RunId::generate(Timestamp::from_secs(1), &SystemEntropy).unwrap();
        Call {
            step: StepKey { run, seq: StepSeq(1), attempt: mandate_kernel::Attempt(1) },
            function: "local.noop".parse().unwrap(),
            environment: Environment::new("sandbox").unwrap(),
            arguments,
        }
    }

    fn spec(name: &str) -> FunctionSpec {
        serde_json::from_value(json!({
            "effect": "read", "model": "delegated", "target": {"local": {"name": name}}, "arguments": {"n": {"type": "integer"}}
        }))
        .unwrap()
    }

    #[test]
    fn prepares_the_same_request_for_the_same_arguments_in_any_order() {
        let effects = Effects::new(Limits::DEFAULT).unwrap().with_local("noop", Arc::new(|v| Ok(v.clone())));
        let effect = effects.effect_for(&spec("noop"), None);
        let prepared = effect.prepare(&call(json!({"n": 1}))).unwrap();
        assert_eq!(prepared.destination, "local:noop");
        assert_eq!(prepared.digest(), effect.prepare(&call(json!({"n": 1}))).unwrap().digest());
        assert_ne!(prepared.digest(), effect.prepare(&call(json!({"n": 2}))).unwrap().digest());
        assert!(matches!(effect.prepare(&call(json!({"m": 1}))), Err(PrepareError::Arguments { .. })));
        let absent = effects.effect_for(&spec("other"), None);
        assert!(matches!(absent.prepare(&call(json!({"n": 1}))), Err(PrepareError::Definition { .. })));
    }

    #[test]
    fn runs_only_the_function_in_the_permit() {
        let double: LocalFunction = Arc::new(|v| v["n"].as_i64().map(|n| json!(n * 2)).ok_or("no n".to_owned()));
        let effect = LocalEffect::new(
            spec("double"),
            LocalTarget { name: "double".to_owned(), credential: false },
            Some(double),
        );
        let request = |name: &str, arguments: &str| Request::Local {
            name: name.to_owned(),
            arguments: arguments.as_bytes().to_vec(),
        };
        let reply = effect.run(&request("double", r#"{"n":2}"#)).unwrap();
        assert_eq!((reply.value, reply.observed), (json!(4), Digest::of(b"4")));
        for (name, arguments) in [("other", r#"{"n":2}"#), ("double", "{}"), ("double", "nothing")] {
            assert!(matches!(effect.run(&request(name, arguments)), Err(EffectFailure::Definite { status: 500, .. })));
        }
    }
}
