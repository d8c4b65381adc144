//! Verifying the evidence with a partner, on a button, and what others hand in.
//!
//! INVARIANT: it is the same export and the same verifier as on the command line, beside the node and
//! one at a time. It does not know what a finding means.

use axum::extract::Path;
use axum::response::Response;
use interlock_core::ids::ParticipantId;
use interlock_journal::evidence::{EvidenceFile, TrustedKeys, keys_for, verify as verify_files};

use super::visit::Posted;
use crate::exchange::problem::problem;
use crate::node::io::{LocalRequest, Problem};
use crate::pages::console::{self, Checked, LogsView};

/// `POST /console/evidence/{id}/verify`.
pub(super) async fn verify(Path(id): Path<String>, posted: Posted) -> Response {
    let visit = &posted.visit;
    let Ok(partner) = ParticipantId::parse(&id) else {
        return visit.outsider.not_found();
    };
    // Whoever may see the state of the logs may verify them.
    let view: LogsView = match visit.read(LocalRequest::GetEvidence).await {
        Ok(view) => view,
        Err(refused) => return refused,
    };
    let names = match super::console::names(visit).await {
        Ok(names) => names,
        Err(refused) => return refused,
    };
    let checked = match checked(&posted, partner).await {
        Ok(checked) => checked,
        Err(refused) => return visit.refused(&refused),
    };
    let page = console::evidence_of_page(&visit.reader(), &id, &view, &names, Some(&checked));
    page.map_or_else(|| visit.outsider.not_found(), |page| visit.page(page))
}

async fn checked(posted: &Posted, partner: ParticipantId) -> Result<Checked, Problem> {
    let desk = &posted.visit.outsider.desk;
    let Some(node) = &desk.node else {
        return Err(problem(
            "not-found",
            404,
            "no journal",
            "this node keeps no journal",
        ));
    };
    let bytes = node.evidence(Some(partner)).await?;
    let found = tokio::task::spawn_blocking(move || {
        let file: EvidenceFile = serde_json::from_slice(&bytes).ok()?;
        Some(judge(&[file], &TrustedKeys::default()))
    });
    let found = found.await.ok().flatten();
    found.ok_or_else(|| {
        problem(
            "internal",
            500,
            "the node failed",
            "the evidence could not be read back; run `interlock evidence verify` on an export",
        )
    })
}

/// The verdict about files, with the keys that we know of others, and those that their manifests name.
pub(super) fn judge(files: &[EvidenceFile], known: &TrustedKeys) -> Checked {
    let (trusted, keys) = keys_for(files, known);
    let of = |file: &EvidenceFile| {
        let holder = file.holder.as_str().to_owned();
        (holder, file.exported_at.clone())
    };
    Checked {
        files: files.iter().map(of).collect(),
        manifests: files.iter().map(|file| file.manifests.len()).sum(),
        keys,
        verdict: verify_files(files, &trusted),
    }
}
