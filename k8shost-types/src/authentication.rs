//! Tokens of service accounts: what may be asked for, what a token claims, and whose it is. They are JSON Web
//! Tokens; who makes and checks their signatures is not here.

use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

use serde_json::{Map, Value, json};

use crate::{
    error::{Error, FieldError},
    field::{Path, quote},
    json::{self as tree, get, int, list, text},
    meta, names,
    rules::{part, spec},
    strategy::{Strategy, Text},
    time,
};

/// Who signs tokens, and whom they are for if nobody else is named: the API of a cluster, as programs in it know it.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Seconds that a token is good for if the request does not say.
const DEFAULT_SECONDS: i64 = 3600;
const LEAST_SECONDS: i64 = 600;
const MOST_SECONDS: i64 = 1 << 32;

/// A pod's token of so many seconds is good for a year, and says when it would have ended: there are programs that
/// read theirs once.
const EXTENDED: i64 = 3607;
const EXTENDED_TO: i64 = 365 * 24 * 3600;

/// How far the clocks of those who sign and those who check may be apart.
const LEEWAY: i64 = 60;

/// What all claims of Kubernetes' own are under.
const OWN: &str = "kubernetes.io";

/// A request for a token, which is sent to an account and is no object.
pub static TOKEN_REQUEST: Strategy = Strategy {
    kind: Text::Borrowed("TokenRequest"),
    api_version: Text::Borrowed("authentication.k8s.io/v1"),
    resource: Text::Borrowed("serviceaccounts"),
    empty: || {
        json!({
            "spec": {"audiences": null, "boundObjectRef": null},
            "status": {"token": "", "expirationTimestamp": null},
        })
    },
    default: |request| {
        if let Some(spec) = tree::ensure_object(request, "spec")
            && int(spec, "expirationSeconds").is_none()
        {
            tree::set(spec, "expirationSeconds", DEFAULT_SECONDS);
        }
    },
    ..Strategy::BASE
};

/// Finds an object of the core group by its resource, its namespace ("" where there are none) and its name.
pub type Find<'f> = &'f dyn Fn(&str, &str, &str) -> Result<Option<Value>, Error>;

/// A request for a token that was found to be in order.
pub struct Order {
    /// The request, completed; what it answers with, but for the token.
    pub request: Value,
    /// What the token claims.
    pub claims: Value,
}

/// Completes and judges a request for a token of an account, after its defaults were set; its namespace is the
/// account's. `id` is the token's own, a uuid.
///
/// # Errors
/// NotFound, of the account or of what the token is to be bound to; Invalid; BadRequest; Conflict, of uids.
pub fn order(
    mut request: Value,
    namespace: &str,
    name: &str,
    find: Find<'_>,
    id: &str,
    now: SystemTime,
) -> Result<Order, Error> {
    let given = meta::name(&request);
    if !given.is_empty() && given != name {
        let path = Path::new("metadata");
        let detail = "must match the service account name if specified";
        let fault = FieldError::invalid(&path.child("name"), given, detail);
        return Err(invalid(name, fault));
    }
    let missing = || Error::not_found("serviceaccounts", name);
    let account = find("serviceaccounts", namespace, name)?.ok_or_else(missing)?;
    let (given, uid) = (meta::uid(&request), meta::uid(&account));
    if !given.is_empty() && given != uid {
        let detail = format_args!(
            "the UID in the token request ({given}) does not match the UID of the service account ({uid})"
        );
        let resource = format!("{}.{}", TOKEN_REQUEST.kind, TOKEN_REQUEST.group());
        return Err(Error::conflict(&resource, name, detail));
    }
    meta::set(&mut request, "name", name);
    meta::set(&mut request, "namespace", namespace);
    meta::set(&mut request, "uid", uid);
    meta::set(&mut request, "creationTimestamp", time::format(now));
    if let Some(spec) = tree::ensure_object(&mut request, "spec") {
        if list(spec, "audiences").is_empty() {
            tree::set(spec, "audiences", json!([ISSUER]));
        }
        if get(spec, "boundObjectRef").is_none() {
            tree::set(spec, "boundObjectRef", Value::Null);
        }
    }
    let asked = int(spec(&request), "expirationSeconds").unwrap_or_default();
    let path = Path::new("spec");
    let path = path.child("expirationSeconds");
    let detail = match asked {
        ..LEAST_SECONDS => "may not specify a duration less than 10 minutes",
        LEAST_SECONDS..=MOST_SECONDS => "",
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    if !detail.is_empty() {
        return Err(invalid("", FieldError::invalid(&path, &asked, detail)));
    }

    let mut own = bound(
        part(spec(&request), "boundObjectRef"),
        namespace,
        name,
        find,
    )?;
    own.insert("namespace".to_owned(), json!(namespace));
    own.insert("serviceaccount".to_owned(), reference(&account));
    let audiences = list(spec(&request), "audiences");
    let issued = seconds(now);
    let mut expires = issued.saturating_add(asked);
    if asked == EXTENDED && own.contains_key("pod") && audiences.iter().all(|it| it == ISSUER) {
        own.insert("warnafter".to_owned(), json!(expires));
        expires = issued.saturating_add(EXTENDED_TO);
    }
    let claims = json!({
        "iss": ISSUER,
        "sub": username(namespace, name),
        "aud": audiences,
        "iat": issued,
        "nbf": issued,
        "exp": expires,
        "jti": id,
        OWN: own,
    });
    let until = now + Duration::from_secs(asked.unsigned_abs());
    let status = json!({"token": "", "expirationTimestamp": time::format(until)});
    tree::set(&mut request, "status", status);
    Ok(Order { request, claims })
}

fn invalid(name: &str, fault: FieldError) -> Error {
    Error::invalid_in(
        TOKEN_REQUEST.group(),
        &TOKEN_REQUEST.kind,
        name,
        vec![fault],
    )
}

fn username(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// What a token says of an object.
fn reference(object: &Value) -> Value {
    json!({"name": meta::name(object), "uid": meta::uid(object)})
}

/// What a token claims of the object that it is bound to.
fn bound(
    wanted: &Value,
    namespace: &str,
    account: &str,
    find: Find<'_>,
) -> Result<Map<String, Value>, Error> {
    let mut claims = Map::new();
    if wanted.is_null() {
        return Ok(claims);
    }
    let (version, kind) = (text(wanted, "apiVersion"), text(wanted, "kind"));
    let (group, version) = match version.split_once('/') {
        None => ("", version),
        Some((_, rest)) if rest.contains('/') => ("", ""),
        Some(("", "")) => ("", ""),
        Some(parts) => parts,
    };
    let (resource, namespace) = match (group, kind) {
        ("", "Pod") => ("pods", namespace),
        ("", "Secret") => ("secrets", namespace),
        ("", "Node") => ("nodes", ""),
        _ => {
            return Err(Error::bad_request(format!(
                "cannot bind token to object of type {group}/{version}, Kind={kind}"
            )));
        }
    };
    let name = text(wanted, "name");
    if name.is_empty() {
        return Err(Error::bad_request("Name parameter required."));
    }
    let faults = names::path_segment(name, false);
    if !faults.is_empty() {
        let (name, faults) = (quote(name), faults.join(";"));
        return Err(Error::bad_request(format!(
            "Name parameter invalid: {name}: {faults}"
        )));
    }
    let missing = || Error::not_found(resource, name);
    let object = find(resource, namespace, name)?.ok_or_else(missing)?;
    if kind == "Pod" {
        if text(spec(&object), "serviceAccountName") != account {
            let account = quote(account);
            return Err(Error::bad_request(format!(
                "cannot bind token for serviceaccount {account} to pod running with different serviceaccount name."
            )));
        }
        let node = text(spec(&object), "nodeName");
        if !node.is_empty() {
            let found = find("nodes", "", node)?;
            // A node that is not there is named all the same.
            let node = found.map_or_else(|| json!({"name": node}), |node| reference(&node));
            claims.insert("node".to_owned(), node);
        }
    }
    let uid = text(wanted, "uid");
    if !uid.is_empty() && uid != meta::uid(&object) {
        let detail = format_args!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(Error::conflict(kind, name, detail));
    }
    claims.insert(kind.to_lowercase(), reference(&object));
    Ok(claims)
}

/// The token in a review, as it would be read from a header: up to the first space.
pub fn bearer(given: &str) -> &str {
    given.trim_end().split(' ').next().unwrap_or_default()
}

/// Whether claims, be they true or not, are those of one of our tokens.
pub fn is_own(claims: &Value) -> bool {
    text(claims, "iss") == ISSUER
}

/// The status of a review whose token says this, its signature being ours. `wanted` is for whom it is to be good:
/// for this API, if that is empty.
///
/// # Errors
/// Why it is not good, in words.
pub fn reviewed(
    claims: &Value,
    wanted: &[Value],
    find: Find<'_>,
    now: SystemTime,
) -> Result<Value, String> {
    let own = [json!(ISSUER)];
    let wanted = if wanted.is_empty() { &own } else { wanted };
    let given = list(claims, "aud");
    let known: HashSet<&str> = given.iter().filter_map(Value::as_str).collect();
    let is_for = |one: &&Value| one.as_str().is_some_and(|one| known.contains(one));
    let audiences: Vec<&Value> = wanted.iter().filter(is_for).collect();
    if audiences.is_empty() {
        return Err(format!(
            "token audiences {} is invalid for the target audiences {}",
            quoted(given),
            quoted(wanted)
        ));
    }
    check_times(claims, seconds(now))?;
    let own = part(claims, OWN);
    let namespace = text(own, "namespace");
    let reference = part(own, "serviceaccount");
    let name = text(reference, "name");
    check_account(reference, namespace, find, now)?;
    let mut extra = json!({});
    for (claim, resource) in [("secret", "secrets"), ("pod", "pods"), ("node", "nodes")] {
        let Some(reference) = get(own, claim) else {
            continue;
        };
        let place = if claim == "node" { "" } else { namespace };
        // The node of a pod is told, and not looked for.
        if claim != "node" || get(own, "pod").is_none() {
            check_bound(claim, resource, reference, place, find, now)?;
        }
        for field in ["name", "uid"] {
            let value = text(reference, field);
            if claim != "secret" && !value.is_empty() {
                extra[format!("authentication.kubernetes.io/{claim}-{field}")] = json!([value]);
            }
        }
    }
    let id = text(claims, "jti");
    if !id.is_empty() {
        extra["authentication.kubernetes.io/credential-id"] = json!([format!("JTI={id}")]);
    }
    Ok(json!({
        "authenticated": true,
        "user": {
            "username": username(namespace, name),
            "uid": text(reference, "uid"),
            "groups": [
                "system:serviceaccounts",
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated",
            ],
            "extra": extra,
        },
        "audiences": audiences,
    }))
}

/// A list as Go shows it.
fn quoted(list: &[Value]) -> String {
    let list: Vec<String> = list.iter().filter_map(Value::as_str).map(quote).collect();
    format!("[{}]", list.join(" "))
}

fn check_times(claims: &Value, now: i64) -> Result<(), String> {
    let is_later = |claim| int(claims, claim).is_some_and(|at| now.saturating_add(LEEWAY) < at);
    let words = if is_later("nbf") {
        "service account token is not valid yet"
    } else if int(claims, "exp").is_none_or(|at| now.saturating_sub(LEEWAY) > at) {
        "service account token has expired"
    } else if is_later("iat") {
        "service account token is issued in the future"
    } else {
        return Ok(());
    };
    Err(words.to_owned())
}

/// The account of a token is there, and the same.
fn check_account(
    reference: &Value,
    namespace: &str,
    find: Find<'_>,
    now: SystemTime,
) -> Result<(), String> {
    let name = text(reference, "name");
    let found = find("serviceaccounts", namespace, name).map_err(|error| error.message)?;
    let missing = || Error::not_found("serviceaccounts", name).message;
    let account = found.ok_or_else(missing)?;
    let (uid, claimed) = (meta::uid(&account), text(reference, "uid"));
    if uid != claimed {
        return Err(format!(
            "service account UID ({uid}) does not match claim ({claimed})"
        ));
    }
    if was_deleted(&account, now) {
        return Err(format!(
            "service account {namespace}/{name} has been deleted"
        ));
    }
    Ok(())
}

/// So is what it is bound to.
fn check_bound(
    claim: &str,
    resource: &str,
    reference: &Value,
    namespace: &str,
    find: Find<'_>,
    now: SystemTime,
) -> Result<(), String> {
    let found = find(resource, namespace, text(reference, "name"))
        .ok()
        .flatten();
    let gone = "service account token has been invalidated";
    let object = found.ok_or(gone)?;
    let (uid, claimed) = (meta::uid(&object), text(reference, "uid"));
    if uid != claimed {
        return Err(format!(
            "{claim} UID ({uid}) does not match service account {claim} ref claim ({claimed})"
        ));
    }
    if was_deleted(&object, now) {
        return Err(gone.to_owned());
    }
    Ok(())
}

/// Whether an object's deletion is over, even if something holds it.
fn was_deleted(object: &Value, now: SystemTime) -> bool {
    let at = time::parse(meta::deletion_timestamp(object));
    at.is_some_and(|at| seconds(at) < seconds(now).saturating_sub(LEEWAY))
}
