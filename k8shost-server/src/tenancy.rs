//! Tenants: the organizations and projects of the system tenant, and the way from a request's words to
//! a [`Tenant`] handle.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
};

use futures::future::BoxFuture;
use k8shost_store::log::{
    Attributes, Change, Engine, Object, Revision, Schema, State, Template, TenantId,
};
use k8shost_types::{
    Error, FieldError, Reason, Strategy,
    addresses::ServiceNetwork,
    meta, names,
    strategy::{Fields, Text},
    tenant::{DEFAULT_ORG, DEFAULT_PROJECT, OrgName, TenantName},
};
use serde_json::{Value, json};

use crate::{
    controllers::Controllers,
    registry::{
        self, Context, Resource, Tenant,
        delete::DeleteOptions,
        json::parse,
        kind::Kind,
        list::{ListOptions, Page, Selectors},
        namespaces,
        ownership::WriteOptions,
        template,
        write::Outcome,
    },
};

/// Organizations, in the system tenant.
pub(crate) static ORGANIZATIONS: Kind = Kind {
    rules: Cow::Borrowed(&Strategy {
        kind: Text::Borrowed("Organization"),
        resource: Text::Borrowed("organizations"),
        namespaced: false,
        ..RULES
    }),
    ..Kind::BASE
};

/// Projects, in the system tenant; an organization is what a namespace is to other kinds.
pub(crate) static PROJECTS: Kind = Kind {
    rules: Cow::Borrowed(&Strategy {
        kind: Text::Borrowed("Project"),
        resource: Text::Borrowed("projects"),
        namespaced: true,
        ..RULES
    }),
    parent: Some(&ORGANIZATIONS),
    begin_delete: begin_project_delete,
    is_held: project_is_held,
    ..Kind::BASE
};

const RULES: Strategy = Strategy {
    kind: Text::Borrowed(""),
    api_version: Text::Borrowed("k8shost.io/v1"),
    resource: Text::Borrowed(""),
    namespaced: false,
    name_rule: names::label_rule,
    default: |_| {},
    prepare_create: |object| {
        object["status"] = json!({"phase": "Active"});
    },
    validate_create: |object| {
        let mut faults = Vec::new();
        let namespaced = !meta::namespace(object).is_empty();
        meta::validate_create(object, namespaced, names::label_rule, &mut faults);
        faults
    },
    prepare_update: |_, _| {},
    validate_update: no_faults,
    prepare_status_update: |_, _| {},
    validate_status_update: no_faults,
    canonicalize: |_| {},
    admit_create: |_| Ok(()),
    admit_update: |_, _| Ok(()),
    selectable: &[],
    fields: no_fields,
    ..Strategy::BASE
};

fn no_faults(_: &Value, _: &Value) -> Vec<FieldError> {
    Vec::new()
}

fn no_fields(_: &Value) -> Fields<'_> {
    Vec::new()
}

/// Once marked, a project goes when its data has been closed, and not by a plain delete.
fn begin_project_delete(project: &mut Value) -> Result<(), Error> {
    project["status"]["phase"] = json!("Terminating");
    Ok(())
}

fn project_is_held(project: &Value) -> bool {
    project["status"]["phase"] == "Terminating"
}

/// What the engine asks of the layer above it.
pub(crate) struct ServerSchema {
    /// Set once there is an engine.
    engine: OnceLock<Engine>,
    template: Template,
}

impl ServerSchema {
    /// The schema of projects whose Services have this network.
    pub(crate) fn new(network: &ServiceNetwork) -> Self {
        Self {
            engine: OnceLock::new(),
            template: template::template(network),
        }
    }

    /// The engine that this is the schema of, through which it sees the system tenant.
    pub(crate) fn serve(&self, engine: Engine) {
        let _ = self.engine.set(engine);
    }
}

impl Schema for ServerSchema {
    fn read(&self, key: &str, value: &[u8]) -> Result<(Revision, Attributes), String> {
        registry::read_stored(key, value)
    }

    fn project(&self, tenant: &TenantId) -> BoxFuture<'_, Result<Option<String>, Error>> {
        let key = tenant
            .names()
            .map(|(org, project)| PROJECTS.key(org, project));
        Box::pin(async move {
            let (Some(key), Some(engine)) = (key, self.engine.get()) else {
                return Ok(None);
            };
            let state = engine.tenant(&TenantId::system()).await?.read().await?;
            let Some(project) = state.get(&key) else {
                return Ok(None);
            };
            let project = parse(&project.value)?;
            Ok((!project_is_held(&project)).then(|| meta::uid(&project).to_owned()))
        })
    }

    fn born(&self, _tenant: &TenantId, _uid: &str, first: Revision) -> Vec<Change> {
        namespaces::initial(first)
    }

    fn template(&self, tenant: &TenantId) -> Template {
        if tenant.is_system() {
            return Template::default();
        }
        self.template.clone()
    }
}

/// Looks tenants up, makes and deletes them.
#[derive(Clone)]
pub(crate) struct Tenancy {
    engine: Engine,
    context: Arc<Context>,
    controllers: Controllers,
}

impl Tenancy {
    /// Tells the schema of its engine.
    pub(crate) fn new(engine: Engine, schema: &ServerSchema, context: Arc<Context>) -> Self {
        schema.serve(engine.clone());
        Self {
            engine,
            context,
            controllers: Controllers::default(),
        }
    }

    /// Makes the default tenant where there is none, and finishes what a stop has cut short.
    pub(crate) async fn prepare(&self) -> Result<(), Error> {
        let made = self.create_organization(DEFAULT_ORG).await;
        ignore(made, Reason::AlreadyExists)?;
        let made = self.create_project(DEFAULT_ORG, DEFAULT_PROJECT).await;
        ignore(made, Reason::AlreadyExists)?;
        self.resume_deletions().await
    }

    /// The tenant that a request names: both an organization and a project, or neither for the
    /// default one. BadRequest, if it names one of the two or a name is malformed; NotFound of an
    /// unknown one.
    pub(crate) async fn tenant(
        &self,
        org: Option<&str>,
        project: Option<&str>,
    ) -> Result<Tenant, Error> {
        let name = match (org, project) {
            (None, None) => TenantName::default(),
            (Some(org), Some(project)) => TenantName::new(org, project)?,
            _ => {
                return Err(Error::bad_request(
                    "x-k8shost-org and x-k8shost-project go together: send both, or neither for the default tenant",
                ));
            }
        };
        let log = self
            .engine
            .tenant(&id(&name)?)
            .await
            .map_err(|e| match e.reason {
                Reason::NotFound => Error::not_found("projects", &name.to_string()),
                _ => e,
            })?;
        let first = log.first_use();
        tracing::Span::current().record("tenant", tracing::field::display(&name));
        let tenant = Tenant::new(Some(Arc::new(name)), log, self.context.clone());
        if first {
            // An emptying that a stop has cut short goes on.
            self.controllers.activate(tenant.clone());
        }
        Ok(tenant)
    }

    /// Something of a tenant was deleted that takes more than one commit.
    pub(crate) fn activate(&self, tenant: &Tenant) {
        self.controllers.activate(tenant.clone());
    }

    /// From now on a project has these kinds of its own, besides the built-in ones.
    pub(crate) fn define(&self, project: &TenantName, kinds: Vec<Strategy>) {
        self.context.own.set(project, kinds);
    }

    async fn system(&self) -> Result<Tenant, Error> {
        let log = self.engine.tenant(&TenantId::system()).await?;
        Ok(Tenant::new(None, log, self.context.clone()))
    }

    /// Makes an organization.
    pub(crate) async fn create_organization(&self, name: &str) -> Result<Arc<Object>, Error> {
        let system = self.system().await?;
        system
            .resource(&ORGANIZATIONS)
            .create(
                "",
                json!({"metadata": {"name": name}}),
                &WriteOptions::internal(),
            )
            .await
            .map(|created| created.object)
    }

    /// Makes a project: one small commit. What a project has from the start comes with its first use.
    pub(crate) async fn create_project(&self, org: &str, name: &str) -> Result<Arc<Object>, Error> {
        TenantName::new(org, name)?;
        let system = self.system().await?;
        system
            .resource(&PROJECTS)
            .create(
                org,
                json!({"metadata": {"name": name}}),
                &WriteOptions::internal(),
            )
            .await
            .map(|created| created.object)
    }

    /// One organization.
    pub(crate) async fn organization(&self, name: &str) -> Result<Arc<Object>, Error> {
        OrgName::new(name)?;
        self.system()
            .await?
            .resource(&ORGANIZATIONS)
            .get("", name, "")
            .await
    }

    /// One project.
    pub(crate) async fn project(&self, org: &str, name: &str) -> Result<Arc<Object>, Error> {
        TenantName::new(org, name)?;
        self.system()
            .await?
            .resource(&PROJECTS)
            .get(org, name, "")
            .await
    }

    /// Organizations, or the projects of one (of all, if `org` is empty).
    pub(crate) async fn list(
        &self,
        kind: &'static Kind,
        org: &str,
        limit: i64,
        continue_token: String,
    ) -> Result<Page, Error> {
        if !org.is_empty() {
            OrgName::new(org)?;
        }
        let system = self.system().await?;
        let selectors = Selectors {
            namespace: org.to_owned(),
            ..Selectors::default()
        };
        let options = ListOptions {
            selectors,
            limit,
            continue_token,
            ..ListOptions::default()
        };
        Resource::list(&system.resource(kind), &options).await
    }

    /// Deletes an organization that has no projects.
    pub(crate) async fn delete_organization(&self, name: &str) -> Result<Arc<Object>, Error> {
        OrgName::new(name)?;
        if name == DEFAULT_ORG {
            return Err(Error::forbidden(
                "organizations",
                name,
                "the organization of the default tenant cannot be deleted",
            ));
        }
        let system = self.system().await?;
        let organization = system.resource(&ORGANIZATIONS).get("", name, "").await?;
        let (key, projects) = (ORGANIZATIONS.key("", name), PROJECTS.prefix(name));
        let owned = name.to_owned();
        let commit = move |state: &State| {
            if state.get(&key).is_none() {
                return Err(Error::not_found("organizations", &owned));
            }
            if state.range(&projects).next().is_some() {
                return Err(Error::conflict(
                    "organizations",
                    &owned,
                    "it still has projects: delete them first",
                ));
            }
            Ok(vec![Change::Delete {
                key: key.as_str().into(),
            }])
        };
        system.log().commit(Box::new(commit)).await?;
        Ok(organization)
    }

    /// Deletes a project and all that is in it. It goes on when the caller does not wait for it.
    pub(crate) async fn delete_project(&self, org: &str, name: &str) -> Result<Arc<Object>, Error> {
        let tenant = TenantName::new(org, name)?;
        if tenant.is_default() {
            return Err(Error::forbidden(
                "projects",
                name,
                "the default tenant cannot be deleted",
            ));
        }
        let system = self.system().await?;
        let project = system.resource(&PROJECTS).get(org, name, "").await?;
        system
            .resource(&PROJECTS)
            .delete(org, name, DeleteOptions::default())
            .await?;
        let tenancy = self.clone();
        let finish = tokio::spawn(async move { tenancy.finish_deletion(&tenant).await });
        finish.await.map_err(|e| {
            Error::new(Reason::Internal, "the deletion was cut short").with_cause(e)
        })??;
        Ok(project)
    }

    /// Closes a marked project's data, then takes the project away.
    async fn finish_deletion(&self, tenant: &TenantName) -> Result<(), Error> {
        self.engine.close(&id(tenant)?).await?;
        self.define(tenant, Vec::new());
        let system = self.system().await?;
        let projects = system.resource(&PROJECTS);
        let removed = projects.read_modify_write(
            tenant.org.as_str(),
            tenant.project.as_str(),
            false,
            |_, old| {
                Ok(if project_is_held(old) {
                    Outcome::Delete(None)
                } else {
                    Outcome::Keep
                })
            },
        );
        ignore(removed.await, Reason::NotFound)?;
        Ok(())
    }

    /// Finishes what a stop has cut short.
    async fn resume_deletions(&self) -> Result<(), Error> {
        let system = self.system().await?;
        let state = system.log().read().await?;
        for project in state.range(&PROJECTS.prefix("")) {
            if project_is_held(&parse(&project.value)?) {
                let (org, name) = PROJECTS.split(&project.key);
                self.finish_deletion(&TenantName::new(org, name)?).await?;
            }
        }
        Ok(())
    }
}

/// The tenant's place in the store.
pub(crate) fn id(name: &TenantName) -> Result<TenantId, Error> {
    TenantId::project(name.org.as_str(), name.project.as_str())
}

/// The error, unless it has this reason.
fn ignore<T>(result: Result<T, Error>, reason: Reason) -> Result<(), Error> {
    match result {
        Err(error) if error.reason != reason => Err(error),
        _ => Ok(()),
    }
}
