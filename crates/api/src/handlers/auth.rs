//! Sign-in by a browser, the session it makes, and the end of it.

use crate::auth::Authenticated;
use crate::body::Asked;
use crate::login::{AWAY, AuthorizationRequest, Away, Fresh, Redemption, SignInError, same_site};
use crate::session::cookie;
use crate::{ApiState, Problem};
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use mandate_identity::{IdTokenExpectation, TokenError, Verified};
use mandate_kernel::{Digest, Duration, base64_encode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// A request to a sign-in endpoint that was not one too many.
pub(crate) struct Paced(Parts);

impl FromRequestParts<ApiState> for Paced {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        state.door.throttle.sign_in(parts, state.engine.ports().clock.now())?;
        Ok(Self(parts.clone()))
    }
}

/// The tenants of this server, and who vouches for their people.
pub(crate) async fn tenants(State(state): State<ApiState>) -> Json<Value> {
    let offers = state.door.sign_in.offers();
    let one = |offer: crate::login::Offer| {
        json!({
            "tenant": offer.tenant, "provider": offer.provider, "issuer": offer.issuer,
            "browser": offer.client_id.is_some(), "command_line": offer.command_line, "scopes": offer.scopes,
        })
    };
    Json(json!({"tenants": offers.into_iter().map(one).collect::<Vec<_>>()}))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    tenant: Option<String>,
    return_to: Option<String>,
}

/// Sends the browser to the tenant's provider.
pub(crate) async fn login(
    State(state): State<ApiState>,
    Paced(parts): Paced,
    Asked(asked): Asked<Login>,
) -> Result<Response, Problem> {
    if let Some(elsewhere) = own_name(&state, &parts) {
        return redirect(&elsewhere, []);
    }
    let return_to = same_site(asked.return_to.as_deref())?;
    let offers = state.door.sign_in.offers();
    let offer = match (&asked.tenant, offers.as_slice()) {
        (Some(tenant), _) => offers.iter().find(|offer| offer.tenant.as_str() == tenant),
        (None, [only]) => Some(only),
        (None, _) => return Err(Problem::invalid("invalid-query", "name the tenant: /auth/login?tenant=TENANT")),
    };
    let offer = offer.ok_or_else(|| Problem::absent("tenant"))?;
    let client_id = offer.client_id.clone().ok_or_else(|| problem_of(&SignInError::NotOffered))?;
    let ports = state.engine.ports();
    let fresh = Fresh::new(ports.entropy.as_ref()).map_err(Problem::internal_error)?;
    let request = AuthorizationRequest {
        redirect_uri: &state.door.redirect_uri(),
        state: &fresh.state,
        nonce: &fresh.nonce,
        code_challenge: &fresh.challenge(),
    };
    let sent = state.door.sign_in.destination(&offer.tenant, &request).await.map_err(|e| problem_of(&e))?;
    let now = ports.clock.now();
    state.door.pending.put(&fresh.state, fresh.away(offer, client_id, return_to, sent.names_itself, now), now);
    redirect(&sent.url, [state.door.set_cookie(&state.door.login_cookie, &fresh.browser, AWAY)?])
}

/// The same request under this server's own name, when it was reached by another of its names: cookies
/// would be left with the wrong one.
fn own_name(state: &ApiState, parts: &Parts) -> Option<String> {
    let own = state.door.origin.split_once("://")?.1;
    let host = parts.headers.get(header::HOST)?.to_str().ok()?;
    let other = host != own && state.hosts.iter().any(|known| known == host);
    other.then(|| format!("{}{}", state.door.origin, parts.uri.path_and_query().map_or("/auth/login", |p| p.as_str())))
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Callback {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// The browser comes back from the provider.
pub(crate) async fn callback(
    State(state): State<ApiState>,
    Paced(parts): Paced,
    asked: Result<Asked<Callback>, Problem>,
) -> Response {
    let done = match asked {
        Ok(Asked(asked)) => finish(&state, &parts.headers, &asked).await,
        Err(problem) => Err(problem),
    };
    let forget = state.door.set_cookie(&state.door.login_cookie, "", Duration::from_secs(0));
    match done.and_then(|(return_to, session)| redirect(&return_to, [session, forget.clone()?])) {
        Ok(response) => response,
        Err(problem) => {
            tracing::warn!(reason = problem.detail.as_deref().unwrap_or_default(), "sign-in refused");
            let mut response = shown(&parts.headers, problem);
            if let Ok(forget) = forget {
                response.headers_mut().append(header::SET_COOKIE, forget);
            }
            response
        }
    }
}

async fn finish(state: &ApiState, headers: &HeaderMap, asked: &Callback) -> Result<(String, HeaderValue), Problem> {
    let now = state.engine.ports().clock.now();
    let unknown = || refused("this sign-in was not begun here, is finished already, or took longer than ten minutes");
    let away = asked.state.as_deref().and_then(|text| state.door.pending.take(text, now)).ok_or_else(unknown)?;
    // Only the browser that went may come back: a link with somebody else's answer signs nobody in.
    let browser = cookie(headers, &state.door.login_cookie)?.map(|value| Digest::of(value.as_bytes()));
    if browser != Some(away.browser) {
        return Err(refused("this sign-in was begun in another browser"));
    }
    // RFC 9207: an answer by another provider than the one asked.
    let named = asked.iss.as_deref();
    if named.is_some_and(|iss| iss != away.issuer) || (away.names_itself && named.is_none()) {
        return Err(refused("the answer is not from the provider that was asked"));
    }
    if let Some(error) = &asked.error {
        let code: String = error.chars().filter(|c| c.is_ascii_alphanumeric() || "_-.".contains(*c)).take(60).collect();
        return Err(refused(&format!("the provider said {code}")));
    }
    let code = asked.code.as_deref().ok_or_else(|| refused("the answer holds no code"))?;
    let redirect_uri = state.door.redirect_uri();
    let redemption = Redemption { code, code_verifier: &away.verifier, redirect_uri: &redirect_uri };
    let redeemed = state.door.sign_in.redeem(&away.tenant, &redemption).await.map_err(|e| problem_of(&e))?;
    let verified = verify(state, &away, &redeemed.id_token, redeemed.access_token.as_deref()).await?;
    let served = state.engine.tenant(verified.caller.tenant());
    let context = served.ok_or_else(|| refused("the tenant is not served here"))?;
    // Whatever session this browser had is over, and the new one has a secret of its own.
    if let Ok(Some(old)) = state.door.session_cookie(headers) {
        state.door.end(old).await?;
    }
    Ok((away.return_to, state.door.begin(state, &context, verified).await?))
}

/// Believes the provider of the tenant that was signed in to, and no other.
async fn verify(
    state: &ApiState,
    away: &Away,
    id_token: &str,
    access_token: Option<&str>,
) -> Result<Verified, Problem> {
    let expected = IdTokenExpectation { client_id: &away.client_id, nonce: &away.nonce, access_token };
    let once = || {
        let provider = state.providers.of(&away.tenant, &away.issuer);
        let provider = provider.ok_or(mandate_identity::IdTokenError::Token(TokenError::UnknownKey))?;
        provider.verify_id_token(id_token, &expected, state.engine.ports().clock.now())
    };
    let unknown_key = mandate_identity::IdTokenError::Token(TokenError::UnknownKey);
    match once() {
        Err(error) if error == unknown_key && state.door.sign_in.reread_keys(&away.issuer).await => once(),
        answer => answer,
    }
    .map_err(|error| refused(&error.to_string()))
}

/// Ends the session.
pub(crate) async fn logout(
    State(state): State<ApiState>,
    headers: HeaderMap,
    who: Authenticated,
) -> Result<Response, Problem> {
    let Some(value) = state.door.session_cookie(&headers)?.filter(|_| who.session.is_some()) else {
        return Err(Problem::unauthenticated("a token has no session to end"));
    };
    state.door.end(value).await?;
    let cleared = [
        (header::SET_COOKIE, state.door.clear_session()?),
        (header::HeaderName::from_static("clear-site-data"), HeaderValue::from_static("\"cache\"")),
    ];
    Ok((StatusCode::NO_CONTENT, cleared).into_response())
}

/// Who is signed in by this browser.
pub(crate) async fn session(who: Authenticated) -> Result<Json<Value>, Problem> {
    let (secret, session) = who.session.ok_or_else(|| Problem::unauthenticated("a token is no session"))?;
    Ok(Json(json!({
        "subject": session.principal.subject(),
        "name": session.name,
        "tenant": session.principal.tenant,
        "groups": session.groups,
        "csrf": secret.csrf(),
        "expires_at": session.expires_at.to_string(),
    })))
}

fn refused(why: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "sign-in-refused", "Nobody was signed in").detail(why)
}

fn problem_of(error: &SignInError) -> Problem {
    match error {
        SignInError::NotOffered => refused(&error.to_string()),
        SignInError::Refused(_) => refused(&error.to_string()),
        SignInError::Unavailable(cause) => {
            tracing::warn!(%cause, "a provider can't be asked");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "provider-unavailable", "The provider can't be asked now")
                .detail("try again in a moment; the cause is in the server's log")
        }
    }
}

fn redirect<const N: usize>(to: &str, cookies: [HeaderValue; N]) -> Result<Response, Problem> {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let location = HeaderValue::from_str(to).map_err(Problem::internal_error)?;
    response.headers_mut().insert(header::LOCATION, location);
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{margin:0;min-height:100vh;display:grid;place-items:center;font:1rem/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}\
main{max-width:30rem;padding:2rem}\
h1{font-size:1.35rem;margin:0 0 .5rem}\
p{margin:0 0 1rem}";

/// A problem as people see it who came by a browser.
fn shown(headers: &HeaderMap, problem: Problem) -> Response {
    let html =
        headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|a| a.contains("text/html"));
    if !html {
        return problem.into_response();
    }
    let plain = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1><p>{detail}.</p>\
         <p><a href=\"/\">Back to the beginning</a></p></main></body></html>\n",
        title = plain(&problem.title),
        detail = plain(problem.detail.as_deref().unwrap_or_default()),
    );
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        base64_encode(Digest::of(STYLE.as_bytes()).as_bytes())
    );
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
    (status, [(header::CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response()
}
