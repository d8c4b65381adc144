//! Couriers within the operator's own process: deposits without HTTP in front of them.
//!
//! INVARIANT: the node is the one that ships, with its configuration, journal and doors; only that
//! deposits are asked of it by a call instead of a request. It does not know the owner.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use interlock::config::Config;
use interlock::driver::handle::Handle;
use interlock::node::io::{DepositRequest, LocalAnswer, LocalRequest};
use interlock::run::{Beside, start};
use interlock_core::ids::{CourierId, IdempotencyKey, StationId};
use interlock_core::parcel::SizeClass;
use interlock_core::waybill::Waybill;
use sha2::{Digest as _, Sha256};

use super::documents::waybill;
use super::encryption;
use super::load::Outcome;
use super::machine::{now, process_cpu};
use super::place::Place;

/// As many as a node has.
const WORKER_THREADS: usize = 2;

/// Has `couriers` deposit the parcels, each courier one after the other, all at once. The processor
/// time told is that of the node and the couriers together.
///
/// # Errors
/// A deposit that was not answered with a compartment.
pub(crate) fn deposit(
    place: &Place,
    couriers: u64,
    parcels: std::ops::Range<u64>,
    station_of: fn(u64) -> String,
) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    let config = read(place.config())?;
    let caller: [u8; 32] = Sha256::digest(place.admin.as_bytes()).into();
    runtime.block_on(async {
        let beside = match place.plain {
            false => Beside::default(),
            true => encryption::beside(),
        };
        let server = start(&config, beside).await?;
        let count = parcels.end - parcels.start;
        let next = Arc::new(AtomicU64::new(parcels.start));
        let (begin, used) = (now(), process_cpu(std::process::id())?);
        let work: Vec<_> = (0..couriers)
            .map(|_| {
                let (next, handle, end) = (next.clone(), server.handle.clone(), parcels.end);
                tokio::spawn(async move {
                    loop {
                        let parcel = next.fetch_add(1, Ordering::Relaxed);
                        if parcel >= end {
                            return Ok(());
                        }
                        one(&handle, caller, parcel, &station_of(parcel)).await?;
                    }
                })
            })
            .collect();
        for courier in work {
            let done: anyhow::Result<()> = courier.await.context("a courier broke")?;
            done?;
        }
        let outcome = Outcome {
            requests: count,
            wall: begin.elapsed(),
            cpu: process_cpu(std::process::id())?.saturating_sub(used),
        };
        server.stop().await?;
        Ok(outcome)
    })
}

async fn one(handle: &Handle, caller: [u8; 32], parcel: u64, station: &str) -> anyhow::Result<()> {
    let request = LocalRequest::OpenDeposit(DepositRequest {
        waybill: Waybill::parse("sf", &waybill(parcel))?,
        station: StationId::parse(station)?,
        size_class: SizeClass::Small,
        courier: CourierId::parse("c-17")?,
        claim: None,
        contact: None,
    });
    let key = IdempotencyKey::parse(&format!("c-{parcel}"))?;
    let body = Sha256::digest(parcel.to_le_bytes()).into();
    let answer = handle.local(Some(caller), Some((key, body)), request).await;
    if let LocalAnswer::Json { status: 201, .. } = answer {
        return Ok(());
    }
    bail!("a deposit was not taken: {answer:?}")
}

/// A node's configuration.
pub(crate) fn read(path: &Path) -> anyhow::Result<Config> {
    let text = std::fs::read_to_string(path).context("failed to read the configuration")?;
    let parsed = Config::parse(&text);
    let mut config = parsed.map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    config.resolve_paths(path.parent().unwrap_or(path));
    Ok(config)
}
