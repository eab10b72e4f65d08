//! Authority and its only direction: narrower (I3).

use crate::{ArgumentLimits, Audience, Scope};
use mandate_kernel::{Environment, FunctionName, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What may be done, for how long, and how often it may be handed on.
///
/// Authorities form a partial order by [`Authority::covers`]. Nothing in the system makes an authority
/// out of another one but [`Authority::narrow`] and [`Authority::for_call`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// What may be demanded of receivers.
    pub scopes: BTreeSet<Scope>,
    /// Which receivers may be addressed.
    pub audiences: BTreeSet<Audience>,
    /// Which functions may be called, each within its limits.
    pub functions: BTreeMap<FunctionName, ArgumentLimits>,
    /// The one environment it is good for.
    pub environment: Environment,
    /// The moment from which it is worth nothing.
    pub not_after: Timestamp,
    /// How many more levels of nesting may get a part of it. 0: it can be used, not handed on.
    pub depth: u8,
}

/// In what way a demand goes beyond an authority. The first one found, in the order of these variants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Widening {
    /// Another environment.
    #[error("environment `{asked}` is not `{held}`, which the authority is good for")]
    Environment {
        /// The environment of the authority.
        held: Environment,
        /// The environment asked for.
        asked: Environment,
    },
    /// Beyond the authority's end.
    #[error("the authority ends too early, or has ended")]
    Lifetime,
    /// More levels of nesting than are left.
    #[error("the authority may not be handed on that many levels")]
    Depth,
    /// Neither shorter nor less deep: a copy, not a part.
    #[error("a part of an authority must end earlier or be less deep than the whole")]
    NotLess,
    /// A scope that is not held.
    #[error("scope `{0}` is outside the authority")]
    Scope(Scope),
    /// An audience that is not held.
    #[error("audience `{0}` is outside the authority")]
    Audience(Audience),
    /// A function that is not held.
    #[error("function `{0}` is outside the authority")]
    Function(FunctionName),
    /// An argument that is wider than its limit, not comparable with it, or missing.
    #[error("argument `{pointer}` of function `{function}` is outside its limit")]
    Argument {
        /// The function.
        function: FunctionName,
        /// JSON pointer into its arguments.
        pointer: String,
    },
}

impl Authority {
    /// Whether `other` is a part of this authority, or the same.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.check(other).is_ok()
    }

    /// Hands on a part: exactly what is asked for, if it is within this authority and ends earlier or
    /// goes less deep.
    ///
    /// # Errors
    /// [`Widening`], naming what goes beyond.
    pub fn narrow(&self, ask: &Self) -> Result<Self, Widening> {
        self.check(ask)?;
        if ask.not_after < self.not_after || ask.depth < self.depth { Ok(ask.clone()) } else { Err(Widening::NotLess) }
    }

    /// What both authorities hold: a part of each. Where the limits of a function are not comparable,
    /// and in another environment, that is nothing.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        let same = self.environment == other.environment;
        let limits = |(function, here): (&FunctionName, &ArgumentLimits)| {
            let there = other.functions.get(function)?;
            let narrower = match (there.cover(here), here.cover(there)) {
                (Ok(()), _) => here,
                (Err(_), Ok(())) => there,
                (Err(_), Err(_)) => return None,
            };
            Some((function.clone(), narrower.clone()))
        };
        Self {
            scopes: self.scopes.intersection(&other.scopes).filter(|_| same).cloned().collect(),
            audiences: self.audiences.intersection(&other.audiences).filter(|_| same).cloned().collect(),
            functions: self.functions.iter().filter(|_| same).filter_map(limits).collect(),
            environment: self.environment.clone(),
            not_after: self.not_after.min(other.not_after),
            depth: self.depth.min(other.depth),
        }
    }

    /// The least authority for one call: one function within its limits, one audience, the scopes that
    /// this call needs, until `not_after` at most, and not to be handed on.
    ///
    /// # Errors
    /// [`Widening`], as [`Authority::admits_call`] and [`Authority::narrow`] find it.
    pub fn for_call(&self, call: &Call<'_>, not_after: Timestamp, now: Timestamp) -> Result<Self, Widening> {
        let limits = self.admit(call, now)?;
        self.narrow(&Self {
            scopes: call.scopes.clone(),
            audiences: BTreeSet::from([call.audience.clone()]),
            functions: BTreeMap::from([(call.function.clone(), limits.clone())]),
            environment: self.environment.clone(),
            not_after: not_after.min(self.not_after),
            depth: 0,
        })
    }

    /// Whether this very call may be made now.
    ///
    /// # Errors
    /// [`Widening`], naming what goes beyond.
    pub fn admits_call(
        &self,
        function: &FunctionName,
        scopes: &BTreeSet<Scope>,
        audience: &Audience,
        arguments: &Value,
        now: Timestamp,
    ) -> Result<(), Widening> {
        self.admit(&Call { function, scopes, audience, arguments }, now).map(|_| ())
    }

    fn admit(&self, call: &Call<'_>, now: Timestamp) -> Result<&ArgumentLimits, Widening> {
        if now >= self.not_after {
            return Err(Widening::Lifetime);
        }
        self.check_sets(call.scopes, std::iter::once(call.audience))?;
        let limits = self.functions.get(call.function).ok_or_else(|| Widening::Function(call.function.clone()))?;
        limits.admit(call.arguments).map_err(|pointer| argument(call.function, pointer))?;
        Ok(limits)
    }

    fn check(&self, ask: &Self) -> Result<(), Widening> {
        if ask.environment != self.environment {
            return Err(Widening::Environment { held: self.environment.clone(), asked: ask.environment.clone() });
        }
        if ask.not_after > self.not_after {
            return Err(Widening::Lifetime);
        }
        if ask.depth > self.depth {
            return Err(Widening::Depth);
        }
        self.check_sets(&ask.scopes, &ask.audiences)?;
        for (function, asked) in &ask.functions {
            let held = self.functions.get(function).ok_or_else(|| Widening::Function(function.clone()))?;
            held.cover(asked).map_err(|pointer| argument(function, pointer))?;
        }
        Ok(())
    }

    fn check_sets<'a>(
        &self,
        scopes: &BTreeSet<Scope>,
        audiences: impl IntoIterator<Item = &'a Audience>,
    ) -> Result<(), Widening> {
        if let Some(scope) = scopes.difference(&self.scopes).next() {
            return Err(Widening::Scope(scope.clone()));
        }
        match audiences.into_iter().find(|audience| !self.audiences.contains(audience)) {
            Some(audience) => Err(Widening::Audience(audience.clone())),
            None => Ok(()),
        }
    }
}

/// One call, as it is about to be made.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The function.
    pub function: &'a FunctionName,
    /// The scopes its receiver demands.
    pub scopes: &'a BTreeSet<Scope>,
    /// The receiver.
    pub audience: &'a Audience,
    /// The arguments, as they will be sent.
    pub arguments: &'a Value,
}

fn argument(function: &FunctionName, pointer: &str) -> Widening {
    Widening::Argument { function: function.clone(), pointer: pointer.to_owned() }
}
