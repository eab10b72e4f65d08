//! The compiled set: the only way from a question to a decision.

use crate::{
    Decision, DenyReason, Explanation, PolicyError, PolicyErrors, PolicySource, Question, Verdict,
    compile::{self, Rule},
    explain,
    facts::{self, Tree},
    judge::{self, Findings},
    request::{Asked, Sides},
    slice::{Index, Slice},
    source,
    vocabulary::Vocabulary,
};
use cedar_policy::{AuthorizationError, Authorizer, PolicyId};
use mandate_kernel::Digest;
use serde_json::Value;
use std::collections::HashMap;

/// The product's own policies, in every compiled set.
const BUILTIN: &[(&str, &str)] = &[
    ("builtin/isolation.cedar", include_str!("../policies/isolation.cedar")),
    ("builtin/roles.cedar", include_str!("../policies/roles.cedar")),
    ("builtin/steps.cedar", include_str!("../policies/steps.cedar")),
];

/// A tenant's policies, compiled. Immutable: a change of policy is another set with another digest.
#[derive(Debug)]
pub struct PolicySet {
    sources: Vec<PolicySource>,
    digest: Digest,
    pub(crate) rules: HashMap<PolicyId, Rule>,
    index: Index,
    pub(crate) names: &'static Vocabulary,
    pub(crate) authorizer: Authorizer,
    #[cfg(test)]
    pub(crate) whole: cedar_policy::PolicySet,
}

impl PolicySet {
    /// Compiles the built-in policies and a tenant's own, in strict mode against the schema.
    ///
    /// # Errors
    /// [`PolicyErrors`] with everything that is wrong: syntax, types, a rule that can never apply, a
    /// missing or repeated `@id`, an unknown annotation or gate, a file without a policy, two files of
    /// one name, a file that claims to be built in.
    pub fn compile(sources: &[PolicySource]) -> Result<Self, PolicyErrors> {
        let claims: Vec<PolicyError> = sources
            .iter()
            .filter(|s| s.file.starts_with("builtin/"))
            .map(|s| PolicyError::at(s, 0, "names under builtin/ are the product's own: rename the file"))
            .collect();
        if !claims.is_empty() {
            return Err(PolicyErrors(claims));
        }
        let builtin = BUILTIN.iter().map(|(file, text)| PolicySource::new(*file, *text));
        Self::compile_all(builtin.chain(sources.iter().cloned()).collect())
    }

    /// Compiles these files and nothing else: for tests of rules by themselves. A set of no files
    /// denies everything.
    ///
    /// # Errors
    /// As [`PolicySet::compile`].
    pub fn compile_without_builtin(sources: &[PolicySource]) -> Result<Self, PolicyErrors> {
        Self::compile_all(sources.to_vec())
    }

    fn compile_all(mut sources: Vec<PolicySource>) -> Result<Self, PolicyErrors> {
        let ours = PolicySource::new("builtin/mandate.cedarschema", "");
        let broken = |message: String| PolicyErrors(vec![PolicyError::at(&ours, 0, message)]);
        sources.sort();
        let names = Vocabulary::shared().map_err(broken)?;
        let compiled = compile::compile(&sources, names)?;
        Ok(Self {
            digest: source::digest(&sources).map_err(|e| broken(e.to_string()))?,
            index: Index::new(&compiled, names).map_err(broken)?,
            #[cfg(test)]
            whole: cedar_policy::PolicySet::from_policies(compiled.iter().map(|c| c.policy.clone()))
                .map_err(|e| broken(e.to_string()))?,
            rules: compiled.into_iter().map(|c| (c.policy.id().clone(), c.rule)).collect(),
            sources,
            names,
            authorizer: Authorizer::new(),
        })
    }

    /// Names these very policies: SHA-256 of the canonical JSON (RFC 8785) of `[[file, text], …]`,
    /// sorted, the built-in ones included.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The files, sorted by name, the built-in ones included.
    #[must_use]
    pub fn sources(&self) -> &[PolicySource] {
        &self.sources
    }

    /// Decides. There is no error: whatever goes wrong is a deny (I2).
    #[must_use]
    pub fn decide(&self, question: &Question) -> Decision {
        let tree = Tree::of(question);
        let facts = facts::asked(question, tree.as_ref().map_or(Value::Null, Tree::json));
        let (verdict, rules, errors) = match tree.and_then(|tree| self.evaluate(question, tree)) {
            _ if self.rules.is_empty() => (Verdict::Deny { reason: DenyReason::NoPolicy }, Vec::new(), Vec::new()),
            Err(message) => (Verdict::Deny { reason: DenyReason::BadQuestion }, Vec::new(), vec![message]),
            Ok(findings) => judge::judge(findings, &question.facts.passed_gates),
        };
        let summary = explain::summary(question, &verdict, &rules, &errors);
        let determining = rules.into_iter().map(|rule| rule.reference.clone()).collect();
        Decision {
            verdict,
            explanation: Explanation { determining, facts, errors, summary },
            policy_digest: self.digest,
        }
    }

    /// Evaluates each policy that could apply exactly once.
    fn evaluate(&self, question: &Question, tree: Tree) -> Result<Findings<'_>, String> {
        let sides = Sides::of(question, self.names)?;
        let slices: Vec<&Slice> =
            self.index.slices(question.action, sides.resource_and_ancestors(), sides.principal_and_ancestors());
        let mentioned = |field: &str| slices.iter().any(|slice| slice.mentions.cover(field));
        let asked = sides.ask(question, tree, self.names, mentioned)?;
        let mut findings = Findings::default();
        for slice in slices {
            self.apply(&asked, &slice.permits, &mut findings);
            self.apply(&asked, &slice.forbids, &mut findings);
        }
        Ok(findings)
    }

    fn apply<'a>(&'a self, asked: &Asked, policies: &cedar_policy::PolicySet, findings: &mut Findings<'a>) {
        if policies.is_empty() {
            return;
        }
        let response = self.authorizer.is_authorized(&asked.request, policies, &asked.entities);
        for error in response.diagnostics().errors() {
            let AuthorizationError::PolicyEvaluationError(failure) = error;
            findings.failed.extend(self.rules.get(failure.policy_id()));
            findings.errors.push(error.to_string());
        }
        for id in response.diagnostics().reason() {
            match self.rules.get(id) {
                Some(rule) => findings.applied.push(rule),
                None => findings.errors.push(format!("policy `{id}` applied but is unknown")),
            }
        }
    }
}
