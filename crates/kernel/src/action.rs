//! The closed set of actions and resource kinds. Policies, the permission table and the API speak of
//! these and no others; adding one makes the golden permission table fail until it is listed.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! closed_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident => $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every member, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The member as policies and tables write it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

closed_set!(
    /// What a request is about. In policies: the entity type of `resource`.
    ResourceKind {
        /// The tenant itself.
        Tenant => "Tenant",
        /// A Worker, all versions.
        Worker => "Worker",
        /// One run of a Worker.
        Run => "Run",
        /// A registered function.
        Function => "Function",
        /// A connection: a destination with its credential slot.
        Connection => "Connection",
        /// A credential's metadata and its secret.
        Credential => "Credential",
        /// A policy file.
        Policy => "Policy",
        /// The tenant's ledger.
        Ledger => "Ledger",
    }
);

closed_set!(
    /// What a request wants to do. In policies: `Action::"run.start"` and so on.
    Action {
        /// See that a Worker exists, and its versions.
        WorkerView => "worker.view",
        /// Apply a new version of a Worker.
        WorkerEdit => "worker.edit",
        /// Give others rights on a Worker.
        WorkerShare => "worker.share",
        /// Start a run.
        RunStart => "run.start",
        /// See a run: state, steps, decisions.
        RunView => "run.view",
        /// Stop a run.
        RunKill => "run.kill",
        /// Say what became of an effect whose outcome a crash hid.
        RunResolve => "run.resolve",
        /// Undo what a run did, by the inverse of each function it called.
        RunRollback => "run.rollback",
        /// Answer an approval that a run waits for.
        ApprovalDecide => "approval.decide",
        /// Export a run's passport.
        PassportExport => "passport.export",
        /// Read a run's artefact.
        ArtifactRead => "artifact.read",
        /// Perform a step: call a function with these arguments.
        FunctionCall => "function.call",
        /// See a function's definition.
        FunctionView => "function.view",
        /// Apply a new version of a function.
        FunctionEdit => "function.edit",
        /// See a connection.
        ConnectionView => "connection.view",
        /// Apply a new version of a connection.
        ConnectionEdit => "connection.edit",
        /// See a credential's metadata; never its secret.
        CredentialView => "credential.view",
        /// Create a credential, or change its metadata.
        CredentialEdit => "credential.edit",
        /// Put a new secret value in.
        SecretPut => "secret.put",
        /// Give, see or revoke embedded grants of a credential.
        GrantManage => "grant.manage",
        /// See policies.
        PolicyView => "policy.view",
        /// Apply policies.
        PolicyEdit => "policy.edit",
        /// Read the ledger's checkpoint, tiles, entries and proofs.
        LedgerRead => "ledger.read",
        /// Export the ledger.
        LedgerExport => "ledger.export",
        /// See people, groups and role bindings.
        DirectoryView => "directory.view",
        /// Change people, groups and role bindings.
        DirectoryEdit => "directory.edit",
        /// Rotate the tenant's keys.
        KeyRotate => "key.rotate",
        /// Let a restored copy work again.
        StateRelease => "state.release",
    }
);

impl Action {
    /// The kind of resource this action applies to.
    #[must_use]
    pub const fn resource_kind(self) -> ResourceKind {
        match self {
            Self::WorkerView | Self::WorkerEdit | Self::WorkerShare | Self::RunStart => ResourceKind::Worker,
            Self::RunView
            | Self::RunKill
            | Self::RunResolve
            | Self::RunRollback
            | Self::ApprovalDecide
            | Self::PassportExport
            | Self::ArtifactRead => ResourceKind::Run,
            Self::FunctionCall | Self::FunctionView | Self::FunctionEdit => ResourceKind::Function,
            Self::ConnectionView | Self::ConnectionEdit => ResourceKind::Connection,
            Self::CredentialView | Self::CredentialEdit | Self::SecretPut | Self::GrantManage => {
                ResourceKind::Credential
            }
            Self::PolicyView | Self::PolicyEdit => ResourceKind::Policy,
            Self::LedgerRead | Self::LedgerExport => ResourceKind::Ledger,
            Self::DirectoryView | Self::DirectoryEdit | Self::KeyRotate | Self::StateRelease => ResourceKind::Tenant,
        }
    }
}
