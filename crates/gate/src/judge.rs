//! Judging a step: the gate's own rules first, then policy. Pure.

use crate::{AuthorityRoot, CredentialFacts, Live, Prepared, Refusal, RefusalKind, Slot, StepFacts, approval};
use mandate_identity::{self as identity, Authentication, Authority};
use mandate_kernel::{
    Action, DecisionId, Digest, Duration, IdentityModel, Integrity, Principal, PrincipalKind, ResourceKind, Timestamp,
};
use mandate_policy::{self as policy, Decision, Facts, GateDemand, PolicySet, Question, Resource, Verdict};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How long a permit may wait to be spent, and how long a hop token lives (design: 60–300 s).
pub(crate) const PERMIT_LIFETIME: Duration = Duration::from_secs(60);

/// The gate. One per process: it owns the table of live permits.
pub struct Gate {
    pub(crate) live: Live,
}

/// What came of judging a step.
pub enum Judged {
    /// It may be admitted.
    Allowed(Box<Allowed>),
    /// It waits for people.
    NotYet(Box<NotYet>),
    /// No.
    Refused(Box<Refusal>),
}

/// A step that may be admitted. Private fields: only the gate makes one.
pub struct Allowed {
    pub(crate) decision: DecisionId,
    pub(crate) policy: Decision,
    pub(crate) facts: Arc<StepFacts>,
    pub(crate) prepared: Prepared,
    pub(crate) hop: Option<Authority>,
    pub(crate) not_after: Timestamp,
}

/// A step that waits for gates, over this exact request.
pub struct NotYet {
    /// The decision.
    pub decision: DecisionId,
    /// The gates demanded.
    pub gates: Vec<GateDemand>,
    /// The policy decision.
    pub policy: Decision,
    /// The exact request that waits.
    pub prepared: Prepared,
    /// What an approval of it is bound to.
    pub binding: Digest,
}

impl Allowed {
    /// The decision's id.
    #[must_use]
    pub const fn decision(&self) -> &DecisionId {
        &self.decision
    }
    /// The policy decision with its explanation.
    #[must_use]
    pub const fn policy(&self) -> &Decision {
        &self.policy
    }
    /// The facts judged.
    #[must_use]
    pub fn facts(&self) -> &StepFacts {
        &self.facts
    }
    /// The request judged.
    #[must_use]
    pub const fn prepared(&self) -> &Prepared {
        &self.prepared
    }
    /// The authority of the hop: the run's, narrowed to this very call.
    #[must_use]
    pub const fn hop(&self) -> Option<&Authority> {
        self.hop.as_ref()
    }
    /// When the permit would expire.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }
}

impl Gate {
    /// A gate with its table of live permits.
    #[must_use]
    pub fn new(live: Live) -> Self {
        Self { live }
    }

    /// The live permits.
    #[must_use]
    pub const fn live(&self) -> &Live {
        &self.live
    }

    /// Judges one attempt: identity, then policy. Makes no change anywhere; the caller records the
    /// result, whichever it is.
    #[must_use]
    pub fn judge(
        &self,
        decision: DecisionId,
        policies: &PolicySet,
        facts: impl Into<Arc<StepFacts>>,
        prepared: Prepared,
        now: Timestamp,
    ) -> Judged {
        let facts = facts.into();
        let hop = match own_rules(&facts, &prepared, now) {
            Ok(hop) => hop,
            Err(kind) => return Judged::Refused(Box::new(Refusal { decision, kind, policy: None })),
        };
        let passed = approval::passed(&facts, &prepared, now);
        let policy = policies.decide(&step_question(&facts, &prepared, passed));
        match &policy.verdict {
            Verdict::Allow => {
                let not_after = now.plus(PERMIT_LIFETIME).min(root_ends(&facts));
                Judged::Allowed(Box::new(Allowed { decision, policy, facts, prepared, hop, not_after }))
            }
            Verdict::NotYet { gates } => {
                let binding = approval::binding(&facts, &prepared);
                Judged::NotYet(Box::new(NotYet { decision, gates: gates.clone(), policy, prepared, binding }))
            }
            Verdict::Deny { reason } => {
                let kind = crate::access::denial(reason, &policy);
                Judged::Refused(Box::new(Refusal { decision, kind, policy: Some(policy) }))
            }
        }
    }
}

/// The rules that no policy can relax. Returns the hop's authority.
fn own_rules(facts: &StepFacts, prepared: &Prepared, now: Timestamp) -> Result<Option<Authority>, RefusalKind> {
    if let Some(key) = facts.standing.revoked.first() {
        return Err(RefusalKind::Revoked(key.to_string()));
    }
    if facts.authority.not_after <= now {
        return Err(RefusalKind::OutsideAuthority(identity::Widening::Lifetime));
    }
    if facts.authority.environment != facts.environment {
        return Err(RefusalKind::OutsideAuthority(identity::Widening::Environment {
            held: facts.authority.environment.clone(),
            asked: facts.environment.clone(),
        }));
    }
    if !facts.allow_listed {
        return Err(RefusalKind::FunctionNotListed(facts.function.to_string()));
    }
    if let Some(credential) = &facts.credential {
        if credential.environment != facts.environment {
            return Err(RefusalKind::WrongEnvironment {
                credential: credential.name.to_string(),
                has: credential.environment.to_string(),
                run: facts.environment.to_string(),
            });
        }
        if let Some(destination) = prepared.destinations().find(|to| !credential.destinations.contains(*to)) {
            return Err(RefusalKind::DestinationNotAllowed {
                credential: credential.name.to_string(),
                destination: destination.to_owned(),
            });
        }
        may_be_used_so(credential, prepared)?;
        grant_covers(facts, credential, now)?;
    } else if prepared.slot.is_some() {
        return Err(RefusalKind::SlotUnbound(facts.function.to_string()));
    }
    match facts.root {
        AuthorityRoot::Initiator => {
            let audience =
                prepared.audience.as_ref().ok_or_else(|| RefusalKind::NoAudience(facts.function.to_string()))?;
            let call = identity::Call {
                function: &facts.function,
                scopes: &facts.scopes,
                audience,
                arguments: &facts.arguments,
            };
            let hop = facts.authority.for_call(&call, now.plus(PERMIT_LIFETIME), now);
            let hop = hop.map_err(RefusalKind::OutsideAuthority)?;
            // With a credential of the initiator's own, the receiver gets no token of ours beside it.
            Ok((facts.model != IdentityModel::UserPassthrough).then_some(hop))
        }
        AuthorityRoot::Grant if facts.credential.is_some() => Ok(None),
        AuthorityRoot::Grant => Err(RefusalKind::GrantMissing {
            credential: "its credential".to_owned(),
            function: facts.function.to_string(),
        }),
    }
}

/// A credential that is exchanged for tokens goes to its token endpoint alone, and no other is exchanged.
fn may_be_used_so(credential: &CredentialFacts, prepared: &Prepared) -> Result<(), RefusalKind> {
    let exchange = match &prepared.slot {
        None => return Ok(()),
        Some(Slot::Authorization { policy: Authentication::Exchange(exchange), .. }) => Some(exchange),
        Some(_) => None,
    };
    let name = || credential.name.to_string();
    match (exchange, &credential.exchange) {
        (None, None) => Ok(()),
        (Some(exchange), Some(place)) if place.admits(exchange) => Ok(()),
        (Some(_), _) => Err(RefusalKind::ExchangeNotAllowed { credential: name() }),
        (None, Some(_)) => Err(RefusalKind::ExchangedOnly { credential: name() }),
    }
}

/// When the authority that the step rests on ends: the run's, and the grant's where there is one.
fn root_ends(facts: &StepFacts) -> Timestamp {
    let grant = facts.credential.as_ref().and_then(|credential| credential.grant.as_ref());
    grant.and_then(|grant| grant.not_after).map_or(facts.authority.not_after, |end| end.min(facts.authority.not_after))
}

/// A credential is used by its owner's leave, whoever's authority the step rests on.
fn grant_covers(facts: &StepFacts, credential: &CredentialFacts, now: Timestamp) -> Result<(), RefusalKind> {
    let Some(grant) = &credential.grant else {
        return Err(RefusalKind::GrantMissing {
            credential: credential.name.to_string(),
            function: facts.function.to_string(),
        });
    };
    let why = if credential.name != grant.credential {
        "it is for another credential"
    } else if grant.worker_version != facts.worker_version {
        "the Worker was edited after it was given"
    } else if grant.function_version != facts.function_version {
        "the function was edited after it was given"
    } else if grant.environment != facts.environment {
        "it is for another environment"
    } else if grant.not_after.is_some_and(|end| end <= now) {
        "it has ended"
    } else {
        return Ok(());
    };
    Err(RefusalKind::GrantStale { grant: grant.name.clone(), why: why.to_owned(), owner: grant.owner.clone() })
}

/// The question put to policy: the Worker asks, on behalf of the initiator, to call a function.
fn step_question(facts: &StepFacts, prepared: &Prepared, passed_gates: BTreeSet<String>) -> Question {
    let tenant = facts.initiator.tenant.clone();
    let function = facts.function.in_project(&facts.project);
    Question {
        principal: Principal { kind: PrincipalKind::Worker, tenant: tenant.clone(), name: facts.worker.to_string() },
        groups: facts.initiator_groups.clone(),
        action: Action::FunctionCall,
        resource: Resource::configured(ResourceKind::Function, tenant, &function, facts.function_class.clone()),
        facts: Facts {
            passed_gates,
            run: Some(policy::RunFacts {
                initiator: facts.initiator.clone(),
                environment: facts.environment.clone(),
                purpose: facts.purpose.clone(),
                class: facts.run_class.clone(),
            }),
            step: Some(Box::new(policy::StepFacts {
                function: facts.function.clone(),
                effect: facts.effect,
                identity_model: facts.model,
                worker_digest: facts.worker_version,
                // A destination comes from a connection an administrator applied, never from run data.
                destination: Some(policy::Destination {
                    address: prepared.destination.clone(),
                    integrity: Integrity::Authoritative,
                }),
                credential: facts.credential.as_ref().map(|c| policy::CredentialFacts {
                    name: c.name.clone(),
                    environment: Some(c.environment.clone()),
                }),
                arguments: facts.arguments.clone(),
                labels: facts.labels.clone(),
                scopes: facts.scopes.iter().map(ToString::to_string).collect(),
                seq: facts.step.seq,
                attempt: facts.step.attempt,
                function_allowed: facts.allow_listed,
                environment_matches: facts.credential.as_ref().is_none_or(|c| c.environment == facts.environment),
                authority_covers: true,
                grant: facts.root == AuthorityRoot::Grant,
            })),
            ..Facts::default()
        },
    }
}
