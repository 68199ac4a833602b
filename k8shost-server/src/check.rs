//! `k8shost check` and `k8shost accept`: what an operator does with the data of a stopped server, or of a
//! TiKV cluster, in use or not.

use std::sync::Arc;

use anyhow::Context as _;
use k8shost_store::{
    embedded::{EmbeddedKv, Options},
    env::SystemEnv,
    kv::Kv,
    log::{Config, Engine, Found},
    tikv::TikvKv,
};
use k8shost_types::{addresses::ServiceNetwork, tenant::TenantName};

use crate::{
    config::{StoreArgs, StoreKind},
    tenancy::{self, ServerSchema},
};

/// Verifies every log, object and digest in a store, prints what it finds, and says whether all is well.
/// Changes nothing.
pub fn check(store: &StoreArgs) -> anyhow::Result<bool> {
    with_engine(store, async |engine, _| {
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
pub fn accept(store: &StoreArgs, tenant: &str) -> anyhow::Result<()> {
    let name: TenantName = tenant.parse()?;
    let id = tenancy::id(&name)?;
    with_engine(store, async |engine, schema| {
        schema.serve(engine.clone());
        engine.accept(&id).await?;
        engine.shutdown().await;
        say(&format!("the state of {name} is accepted as it is"));
        Ok(())
    })
}

/// Opens the store.
fn with_engine<T>(
    store: &StoreArgs,
    work: impl AsyncFnOnce(&Engine, &ServerSchema) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let handle = runtime.handle().clone();
    runtime.block_on(async {
        let kv = open(store).await?;
        let schema = Arc::new(ServerSchema::new(&ServiceNetwork::default()));
        let env = Arc::new(SystemEnv::new(handle));
        let engine = Engine::new(kv, env, schema.clone(), Config::default());
        work(&engine, &schema).await
    })
}

async fn open(store: &StoreArgs) -> anyhow::Result<Arc<dyn Kv>> {
    Ok(match store.store() {
        StoreKind::Memory => anyhow::bail!("what is in memory only is gone with its server"),
        StoreKind::Embedded => {
            let folder = &store.data_dir;
            // Opening makes a folder where there is none, which is not what a check is for.
            anyhow::ensure!(
                folder.is_dir(),
                "there is no data folder {}",
                folder.display()
            );
            Arc::new(EmbeddedKv::open(folder, Options::default())?)
        }
        StoreKind::Tikv(options) => {
            let kv = TikvKv::open(options)?;
            kv.reach().await?;
            Arc::new(kv)
        }
    })
}

fn say(line: &str) {
    use std::io::Write as _;
    // A reader that went away, such as `head`, is no failure of the check.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
