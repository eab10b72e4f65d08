//! Logs: JSON lines on stderr, with the span's fields (run, step, actor, scopes, class, outcome). And
//! traces: the same spans over OTLP, if the environment names a collector
//! (docs/decisions/0019-telemetry.md).

use anyhow::{Context, Result};
use async_trait::async_trait;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::runtime::Handle;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, registry};

/// Where traces go, as every OpenTelemetry program reads it. Without one of these there are none.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of its answer that are read.
const MOST: usize = 64 << 10;

static TRACES: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Starts logging, and tracing if it is asked for. `MANDATE_LOG` filters logs, as in
/// `info,mandate_engine=debug`; `MANDATE_LOG_FORMAT=text` is for people.
pub(crate) fn start(default: &str) {
    let tracer = tracer();
    let failed = tracer.as_ref().err().map(|error| format!("{error:#}"));
    let started = registry().with(logs(default)).with(tracer.ok().flatten().map(traces)).try_init();
    // A second start in one process keeps the first subscriber.
    drop(started);
    if let Some(error) = failed {
        tracing::error!(error, "traces can't be sent; there will be none");
    }
}

/// Sends what was traced last. It may take as long as the collector may.
pub(crate) fn stop() {
    if let Some(provider) = TRACES.get()
        && let Err(error) = provider.shutdown()
    {
        tracing::warn!(%error, "the last traces were not sent");
    }
}

fn logs<S>(default: &str) -> impl Layer<S> + use<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let filter = EnvFilter::try_from_env("MANDATE_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = if std::env::var("MANDATE_LOG_FORMAT").is_ok_and(|format| format == "text") {
        lines.with_ansi(false).boxed()
    } else {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    };
    lines.with_filter(filter)
}

/// Spans of ours and nothing else: their fields are a closed set without secrets, while the words of an
/// event or of a library's span are anybody's.
fn traces<S>(tracer: SdkTracer) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let ours =
        |what: &Metadata<'_>| what.is_span() && *what.level() <= Level::INFO && what.target().starts_with("mandate");
    let layer = tracing_opentelemetry::layer().with_tracer(tracer);
    layer.with_location(false).with_threads(false).with_tracked_inactivity(false).with_filter(FilterFn::new(ours))
}

fn tracer() -> Result<Option<SdkTracer>> {
    let is_set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
    let disabled = std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    if disabled || !ENDPOINTS.iter().any(|name| is_set(name)) {
        return Ok(None);
    }
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .timeout(PATIENCE)
        .build()
        .context("no HTTP client can be made")?;
    let sender = Sender { http, runtime: Handle::try_current().context("there is no runtime")? };
    let exporter = SpanExporter::builder().with_http().with_http_client(sender).build().context("no exporter")?;
    let version = env!("CARGO_PKG_VERSION");
    let resource =
        Resource::builder().with_service_name("mandate").with_attribute(KeyValue::new("service.version", version));
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
    let tracer = provider.tracer_with_scope(InstrumentationScope::builder("mandate").with_version(version).build());
    Ok(TRACES.set(provider).is_ok().then_some(tracer))
}

/// Sends batches by our own client, on our own runtime; they come from a thread without one.
#[derive(Debug)]
struct Sender {
    http: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let sending = self.runtime.spawn(async move {
            let mut answer = http.execute(request.try_into()?).await?;
            let mut body = Vec::new();
            while let Some(chunk) = answer.chunk().await? {
                if body.len() + chunk.len() > MOST {
                    break;
                }
                body.extend_from_slice(&chunk);
            }
            let mut response = Response::new(Bytes::from(body));
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            Ok::<_, reqwest::Error>(response)
        });
        Ok(sending.await??)
    }
}
