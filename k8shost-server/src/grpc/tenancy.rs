//! Calls on organizations and projects.

use k8shost_proto::v1::{
    self, CreateOrganizationRequest, CreateOrganizationResponse, CreateProjectRequest,
    CreateProjectResponse, DeleteOrganizationRequest, DeleteOrganizationResponse,
    DeleteProjectRequest, DeleteProjectResponse, GetOrganizationRequest, GetOrganizationResponse,
    GetProjectRequest, GetProjectResponse, ListMeta, ListOrganizationsRequest,
    ListOrganizationsResponse, ListProjectsRequest, ListProjectsResponse,
};
use k8shost_store::log::Object;
use k8shost_types::{Error, Reason, meta, time};
use prost_types::Timestamp;
use serde_json::Value;

use super::{Inner, call::message, methods::Verb, wire::Encoded};
use crate::{
    registry::{json::parse, list::Page},
    tenancy::{ORGANIZATIONS, PROJECTS},
};

impl Inner {
    /// Answers a method of OrganizationService or ProjectService.
    pub(super) async fn tenancy_call(&self, verb: Verb, body: &[u8]) -> Result<Encoded, Error> {
        let tenancy = &self.tenancy;
        Ok(match verb {
            Verb::CreateOrganization => {
                let request: CreateOrganizationRequest = message(body)?;
                let wanted = request.organization.ok_or_else(|| absent("organization"))?;
                let made = tenancy.create_organization(&wanted.name).await?;
                let organization = Some(organization(&made)?);
                Encoded::message(&CreateOrganizationResponse { organization })
            }
            Verb::GetOrganization => {
                let request: GetOrganizationRequest = message(body)?;
                let found = tenancy.organization(&request.name).await?;
                let organization = Some(organization(&found)?);
                Encoded::message(&GetOrganizationResponse { organization })
            }
            Verb::ListOrganizations => {
                let request: ListOrganizationsRequest = message(body)?;
                let page = tenancy
                    .list(&ORGANIZATIONS, "", request.limit, request.continue_token)
                    .await?;
                let (metadata, items) = list(page, organization)?;
                Encoded::message(&ListOrganizationsResponse { metadata, items })
            }
            Verb::DeleteOrganization => {
                let request: DeleteOrganizationRequest = message(body)?;
                let gone = tenancy.delete_organization(&request.name).await?;
                let organization = Some(organization(&gone)?);
                Encoded::message(&DeleteOrganizationResponse { organization })
            }
            Verb::CreateProject => {
                let request: CreateProjectRequest = message(body)?;
                let wanted = request.project.ok_or_else(|| absent("project"))?;
                let made = tenancy.create_project(&wanted.org, &wanted.name).await?;
                Encoded::message(&CreateProjectResponse {
                    project: Some(project(&made)?),
                })
            }
            Verb::GetProject => {
                let request: GetProjectRequest = message(body)?;
                let found = tenancy.project(&request.org, &request.name).await?;
                Encoded::message(&GetProjectResponse {
                    project: Some(project(&found)?),
                })
            }
            Verb::ListProjects => {
                let request: ListProjectsRequest = message(body)?;
                let token = request.continue_token;
                let page = tenancy
                    .list(&PROJECTS, &request.org, request.limit, token)
                    .await?;
                let (metadata, items) = list(page, project)?;
                Encoded::message(&ListProjectsResponse { metadata, items })
            }
            Verb::DeleteProject => {
                let request: DeleteProjectRequest = message(body)?;
                let gone = tenancy.delete_project(&request.org, &request.name).await?;
                Encoded::message(&DeleteProjectResponse {
                    project: Some(project(&gone)?),
                })
            }
            verb => {
                return Err(Error::new(
                    Reason::Internal,
                    format!("{verb:?} is not a call on organizations or projects"),
                ));
            }
        })
    }
}

fn absent(field: &str) -> Error {
    Error::bad_request(format!("{field}: the request has none"))
}

/// A page's metadata and its items as messages.
fn list<M>(
    page: Page,
    message: impl Fn(&Object) -> Result<M, Error>,
) -> Result<(Option<ListMeta>, Vec<M>), Error> {
    let metadata = ListMeta {
        resource_version: Some(page.revision.to_string()),
        continue_token: Some(page.continue_token).filter(|token| !token.is_empty()),
        remaining_item_count: page.remaining,
        ..ListMeta::default()
    };
    let items = page
        .items
        .iter()
        .map(|object| message(object))
        .collect::<Result<_, _>>()?;
    Ok((Some(metadata), items))
}

fn organization(object: &Object) -> Result<v1::Organization, Error> {
    let value = parse(&object.value)?;
    Ok(v1::Organization {
        name: meta::name(&value).to_owned(),
        uid: meta::uid(&value).to_owned(),
        creation_timestamp: creation_timestamp(&value),
        resource_version: meta::resource_version(&value).to_owned(),
    })
}

fn project(object: &Object) -> Result<v1::Project, Error> {
    let value = parse(&object.value)?;
    Ok(v1::Project {
        org: meta::namespace(&value).to_owned(),
        name: meta::name(&value).to_owned(),
        uid: meta::uid(&value).to_owned(),
        creation_timestamp: creation_timestamp(&value),
        resource_version: meta::resource_version(&value).to_owned(),
        phase: value["status"]["phase"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    })
}

fn creation_timestamp(object: &Value) -> Option<Timestamp> {
    time::parse(object["metadata"]["creationTimestamp"].as_str()?).map(Timestamp::from)
}
