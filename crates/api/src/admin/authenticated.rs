//! Whether every authentication of a document can be performed: said when it is applied, not when it runs.

use super::check::{Finding, House};
use crate::Problem;
use mandate_directory::{ConnectionSpec, CredentialSpec, FunctionSpec, Kind, SlotSpec, Target, WorkerSpec};
use mandate_flow::{AuthenticationSlot, Program};
use mandate_identity::{Authentication, AuthenticationScheme};
use mandate_kernel::{FunctionName, ResourceName};

impl House<'_> {
    /// What of the document's authentications no run could do.
    pub(super) async fn authenticated(
        &self,
        worker: &ResourceName,
        spec: &WorkerSpec,
        program: &Program,
    ) -> Result<Vec<Finding>, Problem> {
        let mut found = Vec::new();
        // What a run supplies has a switch of its own.
        for slot in program.authentications().iter().filter(|slot| !slot.supplied) {
            if let Some(why) = self.unusable(worker, spec, slot).await? {
                found.push(("invalid-worker", format!("/spec/document{}", slot.pointer), why));
            }
        }
        Ok(found)
    }

    async fn unusable(
        &self,
        worker: &ResourceName,
        spec: &WorkerSpec,
        slot: &AuthenticationSlot,
    ) -> Result<Option<String>, Problem> {
        let policy = match Authentication::read(&slot.compiled) {
            Ok(policy) => policy,
            Err(why) => return Ok(Some(format!("this authentication can't be performed: {why}"))),
        };
        let (Some(secret), Some(scheme)) = (&slot.secret, Authentication::scheme(&slot.compiled)) else {
            return Ok(Some("this authentication names no secret".to_owned()));
        };
        let Some(credential) = spec.secrets.get(secret) else {
            return Ok(Some(format!(
                "spec.secrets does not say which credential the secret `{secret}` is: secrets: {{{secret}: PROJECT/NAME}}"
            )));
        };
        let mut takes = false;
        for function in spec.bindings.iter().filter(|(_, bound)| *bound == credential).map(|(function, _)| function) {
            takes |= self.takes(worker, function, scheme).await?;
        }
        if !takes {
            return Ok(Some(format!(
                "no function that is bound to {credential} takes `{}`: its connection's slot lists it in `schemes`",
                slot.scheme
            )));
        }
        let Authentication::Exchange(exchange) = policy else { return Ok(None) };
        // What its owner declared is nobody's business who may not see it; the gate compares it again.
        if !self.sees(credential).await? {
            return Ok(None);
        }
        let place = self.find::<CredentialSpec>(Kind::Credential, credential).await?.and_then(|held| held.exchange);
        Ok(match place {
            Some(place) if place.admits(&exchange) => None,
            Some(_) => Some(format!("{credential} is exchanged for tokens elsewhere: see its `exchange`")),
            None => Some(format!("{credential} is not one that is exchanged for tokens: it has no `exchange`")),
        })
    }

    /// Whether a document's own call through the function can be authenticated so.
    async fn takes(
        &self,
        worker: &ResourceName,
        function: &FunctionName,
        scheme: AuthenticationScheme,
    ) -> Result<bool, Problem> {
        let resource = function.in_project(&worker.project());
        let declared = self.find::<FunctionSpec>(Kind::Function, &resource).await?;
        let Some(Target::Call(call)) = declared.map(|declared| declared.target) else { return Ok(false) };
        let Ok(connection) = ResourceName::new(format!("{}/{}", worker.project(), call.connection)) else {
            return Ok(false);
        };
        let slot = self.find::<ConnectionSpec>(Kind::Connection, &connection).await?.and_then(|held| held.slot);
        Ok(match slot {
            Some(SlotSpec::Policy(slot)) => slot.schemes.contains(&scheme),
            Some(SlotSpec::Header(_)) => scheme == AuthenticationScheme::Bearer,
            Some(SlotSpec::Smtp(_)) | None => false,
        })
    }
}
