//! `k8shost check` and `k8shost accept`: what an operator does with the data of a stopped server.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use k8shost_store::{
    embedded::{EmbeddedKv, Options},
    env::SystemEnv,
    log::{Config, Engine, Found, TenantId},
};
use k8shost_types::tenant::TenantName;

use crate::tenancy::ServerSchema;

/// Verifies every log, object and digest in a data folder, prints what it finds, and says whether all
/// is well. Changes nothing.
pub fn check(data_dir: &Path) -> anyhow::Result<bool> {
    with_engine(data_dir, async |engine, _| {
        let (mut tenants, mut objects, mut bytes, mut batches, mut wrong) = (0, 0, 0, 0, 0);
        let mut report = |found| match found {
            Found::Tenant(tenant) => {
                tenants += 1;
                objects += tenant.objects;
                bytes += tenant.object_bytes;
                batches += tenant.batches;
                let detail = format!(
                    "{}: {} objects at revision {}, {} batches of {} bytes in the log, {} projections to be written",
                    tenant.id,
                    tenant.objects,
                    tenant.revision,
                    tenant.batches,
                    tenant.log_bytes,
                    tenant.pending
                );
                match tenant.damage {
                    None => say(&format!("ok     {detail}")),
                    Some(damage) => {
                        wrong += 1;
                        say(&format!("WRONG  {detail}: {damage}"));
                    }
                }
            }
            Found::Unreadable(id, error) => {
                tenants += 1;
                wrong += 1;
                say(&format!("WRONG  {id}: {error}"));
            }
            Found::Stray(key) => {
                wrong += 1;
                say(&format!("WRONG  the key {key} is no tenant's"));
            }
        };
        engine.check(&mut report).await?;
        say(&format!(
            "{tenants} tenants, {objects} objects of {bytes} bytes, {batches} batches; {wrong} things wrong"
        ));
        Ok(wrong == 0)
    })
}

/// Accepts the state of a tenant as it was found, although its digest differs: from then on it can be
/// written again. `tenant` is `org/project`.
pub fn accept(data_dir: &Path, tenant: &str) -> anyhow::Result<()> {
    let (org, project) = tenant
        .split_once('/')
        .context("the tenant is written as organization/project")?;
    let name = TenantName::new(org, project)?;
    let id = TenantId::project(name.org.as_str(), name.project.as_str())?;
    with_engine(data_dir, async |engine, schema| {
        schema.serve(engine.clone());
        engine.accept(&id).await?;
        engine.shutdown().await;
        say(&format!("the state of {name} is accepted as it is"));
        Ok(())
    })
}

/// Opens the store of a stopped server.
fn with_engine<T>(
    data_dir: &Path,
    work: impl AsyncFnOnce(&Engine, &ServerSchema) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    // Opening makes a folder where there is none, which is not what a check is for.
    anyhow::ensure!(
        data_dir.is_dir(),
        "there is no data folder {}",
        data_dir.display()
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let handle = runtime.handle().clone();
    runtime.block_on(async {
        let kv = Arc::new(EmbeddedKv::open(data_dir, Options::default())?);
        let schema = Arc::new(ServerSchema::default());
        let env = Arc::new(SystemEnv::new(handle));
        let engine = Engine::new(kv, env, schema.clone(), Config::default());
        work(&engine, &schema).await
    })
}

fn say(line: &str) {
    use std::io::Write as _;
    // A reader that went away, such as `head`, is no failure of the check.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
