//! Requests for tokens of service accounts.

use bytes::Bytes;
use http::{Response, StatusCode};
use k8shost_types::{Error, apply, authentication::TOKEN_REQUEST, meta, table};
use tonic::body::Body;

use super::{
    answer::{self, Form},
    objects::Call,
    route::Target,
    shown,
};

impl Call<'_> {
    /// Gives a token of the account in the path. A dry run does so too, as in Kubernetes.
    pub(super) async fn token(&self, body: Bytes) -> Result<Response<Body>, Error> {
        let options = self.options("CreateOptions")?;
        let rules = &TOKEN_REQUEST;
        let kind = [rules.group(), rules.version(), &*rules.kind];
        let (mut request, warnings) = self.typed(&body, kind, "CreateOptions")?;
        self.is_here(&request)?;
        let Target {
            namespace, name, ..
        } = &self.target;
        meta::set_kind(&mut request, &rules.api_version, &rules.kind);
        let mut answer = self
            .tenant
            .token(namespace, name, request, &options)
            .await?;
        apply::expand_fields(&mut answer);
        if let Form::Metadata(version) = self.shown.form {
            answer = table::partial_metadata(&answer, version);
        }
        let response = shown::written(StatusCode::CREATED, self.shown.encoding, &answer)?;
        Ok(answer::warned(response, &warnings))
    }
}
