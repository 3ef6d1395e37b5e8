//! The commands that use a store instead of a server: copy, import, export.
//! Does not do their work: `copy`, `import` and `export` do.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};

use crate::bus::{Bus, Local};
use crate::config::{Config, CopyOptions, ExportOptions, ImportOptions};
use crate::copy::{self, Copied, Target};
use crate::export::{self, Exported};
use crate::import::{self, Here, Remote, Report, Source, Task};
use crate::lease::Lease;
use crate::model::Clock;
use crate::service::Limits;
use crate::store::transfer::Unfinished;
use crate::store::{self, Store};
use crate::telemetry::Metrics;

/// The limits of another server.
const UNKNOWN: Limits = Limits {
    message_bytes: usize::MAX,
    members: usize::MAX,
    chats: None,
};

/// The name of the command that is shown to another one.
const COPY: &str = "copy";

/// Copies one store into another.
///
/// # Errors
/// Why that cannot be, in one sentence.
pub async fn copy(options: &CopyOptions) -> anyhow::Result<Copied> {
    if options.from == options.to {
        bail!("--from and --to are the same store");
    }
    let target = if options.resume {
        Target::Resumed
    } else {
        Target::Empty
    };
    if store::is_missing(&options.from) {
        bail!("--from: there is no such file as {}", options.from);
    }
    let from = Side::open(&options.from, COPY, Unfinished::Refused);
    let mut from = from.await.context("--from")?;
    let to = Side::open(&options.to, COPY, Unfinished::Allowed);
    let to = to.await.context("--to");
    let mut to = match to {
        Ok(to) => to,
        Err(error) => {
            from.close().await?;
            return Err(error);
        }
    };
    let copied = tokio::select! {
        copied = copy::copy(&*from.store, &*to.store, target) => copied.map_err(Into::into),
        lost = from.lease.lost() => Err(anyhow!(lost)),
        lost = to.lease.lost() => Err(anyhow!(lost)),
    };
    to.close().await?;
    from.close().await?;
    copied
}

/// A store that no server may use meanwhile.
struct Side {
    store: Arc<dyn Store>,
    lease: Lease,
}

impl Side {
    async fn open(url: &str, command: &str, unfinished: Unfinished) -> anyhow::Result<Self> {
        let store = store::connect(url).await?;
        let lease = Lease::take(&store, command).await?;
        if let Err(error) = store.migrate(unfinished).await {
            lease.release().await;
            return Err(error.into());
        }
        // No call of it succeeds without the lease; its metrics are not read.
        let store = store::instrumented(store, Metrics::default());
        Ok(Self { store, lease })
    }

    async fn close(self) -> Result<(), store::StoreError> {
        self.lease.release().await;
        self.store.close().await
    }
}

/// Checks a file, and imports it unless only the check is wanted. `wrong` is called for each line at fault.
///
/// # Errors
/// Why that cannot be, in one sentence.
pub async fn import(
    options: &ImportOptions,
    wrong: &mut (dyn FnMut(u32, &str) + Send),
) -> anyhow::Result<Report> {
    if options.dry_run {
        let limits = match options.to {
            Some(_) => UNKNOWN,
            None => super::limits_of(&options.config),
        };
        let now = Clock::system().now();
        return Ok(import::check(&options.file, limits, now, wrong)?);
    }
    let task = Task {
        file: options.file.clone(),
        map: options.map.clone(),
        add_members: options.add_members,
    };
    if let Some(address) = &options.to {
        let server = Remote::new(address, options.token()?)?;
        let source = Source::read(&task.file, wrong)?;
        return Ok(import::import(source, &task, &server, wrong).await?);
    }
    // Before the store is opened, which creates it.
    let source = Source::read(&task.file, wrong)?;
    let config = &options.config;
    let mut side = Side::open(&config.store, "import", Unfinished::Refused).await?;
    let here = here(config, &side.store);
    let imported = tokio::select! {
        imported = import::import(source, &task, &here, wrong) => imported.map_err(Into::into),
        lost = side.lease.lost() => Err(anyhow!(lost)),
    };
    here.end().await;
    side.close().await?;
    imported
}

/// The service of this process over a store.
fn here(config: &Config, store: &Arc<dyn Store>) -> Here {
    let bus: Arc<dyn Bus> = Arc::new(Local::default());
    let (clock, metrics) = (Clock::system(), Metrics::default());
    let (service, committer) = super::service(config, store, &bus, &clock, &metrics);
    Here::new(service, committer, bus)
}

/// Writes everything into a file that does not exist yet, or to standard output.
///
/// # Errors
/// Why that cannot be, in one sentence.
pub async fn export(options: &ExportOptions) -> anyhow::Result<Exported> {
    let store = &options.config.store;
    if store::is_missing(store) {
        bail!("there is no such file as {store}");
    }
    let mut side = Side::open(store, "export", Unfinished::Refused).await?;
    let exported = tokio::select! {
        exported = export_into(options, &*side.store) => exported,
        lost = side.lease.lost() => Err(anyhow!(lost)),
    };
    side.close().await?;
    exported
}

async fn export_into(options: &ExportOptions, store: &dyn Store) -> anyhow::Result<Exported> {
    let now = Clock::system().now();
    let Some(path) = &options.output else {
        let mut out = BufWriter::new(std::io::stdout());
        return Ok(export::export(store, &mut out, now).await?);
    };
    let file = File::create_new(path).with_context(|| format!("--output {}", path.display()))?;
    let mut out = BufWriter::new(file);
    let exported = export::export(store, &mut out, now).await?;
    out.flush()?;
    out.get_ref().sync_all()?;
    Ok(exported)
}
