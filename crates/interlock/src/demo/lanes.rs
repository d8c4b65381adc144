//! Work done side by side, as couriers and cabinets do it.
//!
//! INVARIANT: the pieces of one lane are done one after the other; what comes back is in the order of
//! the pieces, whichever lane was faster. It does not know what the work is.

use std::future::Future;

use tokio::task::JoinSet;

use super::error::DemoError;

/// How many lanes there are.
const LANES: usize = 24;

/// Does every piece of work and gives the outcomes in the order of the pieces.
///
/// # Errors
/// The first error of a lane; other lanes may have done their work.
pub async fn in_lanes<T, R, F, W>(work: Vec<T>, act: F) -> Result<Vec<R>, DemoError>
where
    T: Send + 'static,
    R: Send + 'static,
    F: Fn(T) -> W + Clone + Send + 'static,
    W: Future<Output = Result<R, DemoError>> + Send,
{
    let mut lanes: Vec<Vec<(usize, T)>> = (0..LANES.min(work.len())).map(|_| Vec::new()).collect();
    let count = lanes.len();
    for (at, piece) in work.into_iter().enumerate() {
        if let Some(lane) = lanes.get_mut(at % count) {
            lane.push((at, piece));
        }
    }
    let mut running = JoinSet::new();
    for lane in lanes {
        let act = act.clone();
        running.spawn(async move {
            let mut done = Vec::with_capacity(lane.len());
            for (at, piece) in lane {
                done.push((at, act(piece).await?));
            }
            Ok::<_, DemoError>(done)
        });
    }
    let mut all = Vec::new();
    while let Some(lane) = running.join_next().await {
        let done = lane.map_err(DemoError::own("a lane of work"))?;
        all.extend(done?);
    }
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, outcome)| outcome).collect())
}
