//! The sample Worker, embedded, so that `mandate dev` can seed it from anywhere.

macro_rules! files {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../workers/finance/quarterly-summary/", $path)))),+]
    };
}

/// The files of `workers/finance/quarterly-summary/`: path below that folder, and text. `manifest.yaml`
/// names the document `worker.yaml` by its file name.
#[must_use]
pub fn sample_worker_files() -> &'static [(&'static str, &'static str)] {
    files![
        "worker.yaml",
        "manifest.yaml",
        "functions/warehouse.revenue.yaml",
        "functions/ledgerbook.costs.yaml",
        "functions/report.publish.yaml",
        "policies/quarterly-summary.cedar",
        "sharing/runners.yaml",
        "sharing/viewers.yaml",
        "sharing/owners.yaml",
        "sharing/credential-owners.yaml",
        "README.md",
    ]
}
