//! The sample Workers, embedded, so that `mandate dev` can seed them from anywhere.

/// A sample: a folder with a Worker, or with several in folders of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Its folder below `workers/`.
    pub folder: &'static str,
    /// Its files: path below that folder, and text. Each `manifest.yaml` is the manifest of a Worker and names
    /// the document `worker.yaml` beside it by its file name.
    pub files: &'static [(&'static str, &'static str)],
}

macro_rules! sample {
    ($folder:literal: $($path:literal),+ $(,)?) => {
        Sample {
            folder: $folder,
            files: &[$(($path, include_str!(concat!("../../../workers/", $folder, "/", $path)))),+],
        }
    };
}

/// The samples. The functions of Finance lie with Quarterly Performance Summary, which comes first.
pub const SAMPLES: &[Sample] = &[
    sample! {
        "finance/quarterly-summary":
        "worker.yaml",
        "manifest.yaml",
        "functions/warehouse.revenue.yaml",
        "functions/warehouse.desks.yaml",
        "functions/ledgerbook.costs.yaml",
        "functions/report.publish.yaml",
        "functions/infer.yaml",
        "functions/mail.send.yaml",
        "policies/quarterly-summary.cedar",
        "sharing/runners.yaml",
        "sharing/viewers.yaml",
        "sharing/owners.yaml",
        "sharing/ledgerbook-key-owners.yaml",
        "sharing/model-key-owners.yaml",
        "sharing/smtp-login-owners.yaml",
        "README.md",
    },
    sample! {
        "finance/forensics":
        "README.md",
        "stale-data/worker.yaml",
        "stale-data/manifest.yaml",
        "stale-data/sharing/runners.yaml",
        "stale-data/sharing/viewers.yaml",
        "stale-data/README.md",
        "mis-scoped-retrieval/worker.yaml",
        "mis-scoped-retrieval/manifest.yaml",
        "mis-scoped-retrieval/sharing/runners.yaml",
        "mis-scoped-retrieval/sharing/viewers.yaml",
        "mis-scoped-retrieval/README.md",
        "prompt-injection/worker.yaml",
        "prompt-injection/manifest.yaml",
        "prompt-injection/sharing/runners.yaml",
        "prompt-injection/sharing/viewers.yaml",
        "prompt-injection/README.md",
        "bad-transform/worker.yaml",
        "bad-transform/manifest.yaml",
        "bad-transform/sharing/runners.yaml",
        "bad-transform/sharing/viewers.yaml",
        "bad-transform/README.md",
    },
    sample! {
        "claims/claim-processing":
        "worker.yaml",
        "manifest.yaml",
        "functions/claims.read.yaml",
        "functions/claims.validate.yaml",
        "functions/claims.note.yaml",
        "functions/claims.pay.yaml",
        "functions/infer.yaml",
        "functions/approval.yaml",
        "policies/claim-processing.cedar",
        "sharing/runners.yaml",
        "sharing/approvers.yaml",
        "sharing/owners.yaml",
        "sharing/model-key-owners.yaml",
        "README.md",
    },
    sample! {
        "product/meeting-summary":
        "worker.yaml",
        "manifest.yaml",
        "functions/documents.read.yaml",
        "functions/documents.draft.yaml",
        "functions/infer.yaml",
        "policies/meeting-summary.cedar",
        "sharing/runners.yaml",
        "sharing/model-key-owners.yaml",
        "README.md",
    },
];
