//! Tokens of service accounts. Each project signs its own with a key that no other project has, which is made with
//! the first of them and stands in the project's own log.

use std::{borrow::Cow, time::SystemTime};

use k8shost_store::log::{Attributes, Change, CommitFn, State};
use k8shost_types::{
    Error,
    authentication::{self, TOKEN_REQUEST},
};
use serde_json::{Value, json};

use super::{
    Tenant,
    json::{self as stored, parse},
    kind::Kind,
    ownership::{Ownership, WriteOptions},
};
use crate::jwt::{self, Key};

/// Where the key stands. No resource is called so: nothing of the API reads it, lists it or watches it.
const KEY: &str = "KEYS/tokens";

/// Requests for tokens, which are no objects, have owners all the same.
static TOKEN_REQUESTS: Kind = Kind {
    rules: Cow::Borrowed(&TOKEN_REQUEST),
    ..Kind::BASE
};

impl Tenant {
    /// A request for a token, answered.
    ///
    /// # Errors
    /// NotFound, Invalid, BadRequest, Conflict: see [`authentication::order`].
    pub(crate) async fn token(
        &self,
        namespace: &str,
        name: &str,
        mut request: Value,
        options: &WriteOptions,
    ) -> Result<Value, Error> {
        (TOKEN_REQUEST.default)(&mut request);
        Ownership::new(&TOKEN_REQUESTS, None, "token", options).update(None, &mut request);
        let id = uuid::Uuid::new_v4().to_string();
        loop {
            let state = self.log.read().await?;
            let find = |resource: &str, namespace: &str, name: &str| {
                find(&state, resource, namespace, name)
            };
            let now = SystemTime::now();
            let order = authentication::order(request.clone(), namespace, name, &find, &id, now)?;
            // Of the same state as the account: the project may be another one by now.
            if let Some(key) = key(&state)? {
                let mut answer = order.request;
                answer["status"]["token"] = json!(key.sign(&order.claims)?);
                return Ok(answer);
            }
            self.make_key().await?;
        }
    }

    /// Makes the project's key, unless there is one.
    async fn make_key(&self) -> Result<(), Error> {
        let made = stored::Template::new(&Key::generate()?.to_stored());
        let commit: CommitFn = Box::new(move |state| {
            if state.get(KEY).is_some() {
                return Ok(Vec::new());
            }
            Ok(vec![Change::Put {
                key: KEY.into(),
                value: made.at(Some(state.next_revision())),
                attributes: Attributes::default(),
            }])
        });
        self.log.commit(commit).await?;
        Ok(())
    }

    /// The status of a review of a token: whose it is, or why it is nobody's. `audiences` is for whom it is to be
    /// good.
    ///
    /// # Errors
    /// Of the store.
    pub(crate) async fn review_token(
        &self,
        token: &str,
        audiences: &[Value],
    ) -> Result<Value, Error> {
        let refused = |words: String| json!({"user": {}, "error": words});
        let unknown = "invalid bearer token";
        let Some((header, claims)) = jwt::peek(token) else {
            return Ok(refused(unknown.to_owned()));
        };
        if !authentication::is_own(&claims) {
            return Ok(refused(unknown.to_owned()));
        }
        let state = self.log.read().await?;
        let reviewed = match key(&state)? {
            Some(key) if key.is_meant(&header) => {
                if key.has_signed(token) {
                    let find = |resource: &str, namespace: &str, name: &str| {
                        find(&state, resource, namespace, name)
                    };
                    let now = SystemTime::now();
                    authentication::reviewed(&claims, audiences, &find, now)
                } else {
                    Err("go-jose/go-jose: error in cryptographic primitive".to_owned())
                }
            }
            _ => Err("invalid signature, no keys found".to_owned()),
        };
        // Kubernetes asks two who know tokens.
        Ok(reviewed.unwrap_or_else(|words| refused(format!("[{unknown}, {words}]"))))
    }
}

/// The project's key, if it has one.
fn key(state: &State) -> Result<Option<Key>, Error> {
    let object = state.get(KEY);
    object
        .map(|object| Key::of_stored(&parse(&object.value)?))
        .transpose()
}

/// An object of the core group.
fn find(
    state: &State,
    resource: &str,
    namespace: &str,
    name: &str,
) -> Result<Option<Value>, Error> {
    let Some((kind, _)) = Kind::served("", "v1", resource) else {
        return Ok(None);
    };
    let object = state.get(&kind.key(namespace, name));
    object.map(|object| parse(&object.value)).transpose()
}
