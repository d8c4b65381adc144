//! Does evidence that somebody handed in hold?

use maud::{Markup, html};

use super::evidence::family;
use super::frame::{Reader, Section, Sheet, sheet};
use super::parts::{facts, headline, summary};
use super::values::Names;
use super::verdict::Checked;
use crate::node::io::Problem;
use crate::pages::layout::Tone;

/// The form, and what the files that it sent show.
pub fn files_page(
    reader: &Reader<'_>,
    names: &Names,
    checked: Option<&Checked>,
    trouble: Option<&Problem>,
) -> Markup {
    let title = reader.pick("核验证据文件", "Verify evidence files");
    let titled = match trouble {
        Some(_) => reader.pick("出错：核验证据文件", "Error: Verify evidence files"),
        None => title,
    };
    let (tone, lead) = checked.map_or(
        (
            Tone::Unknown,
            reader.pick(
                "还没有核验任何文件。",
                "No file has been checked on this page.",
            ),
        ),
        |checked| checked.lead(reader),
    );
    let main = html! {
        @if let Some(trouble) = trouble {
            (summary(reader, &super::problems::words(reader, trouble), Some("evidence")))
        }
        (family(reader))
        (headline(tone, title, &html! { (lead) }))
        @if let Some(checked) = checked { (found(reader, checked, names)) }
        (form(reader))
    };
    let page = Sheet {
        title: titled,
        section: Section::Evidence,
        wide: true,
    };
    sheet(reader, &page, &main)
}

fn found(reader: &Reader<'_>, checked: &Checked, names: &Names) -> Markup {
    let of = reader.pick("由谁出具", "Evidence of");
    let files: Vec<(&str, Markup)> = checked
        .files
        .iter()
        .map(|(holder, exported)| {
            let at = exported.as_deref().unwrap_or_default();
            (of, html! { (names.of(holder)) " " span.muted { (at) } })
        })
        .collect();
    html! {
        (checked.body(reader, names))
        (facts(&files))
        (checked.logs(reader, names))
        (checked.keys(reader, names))
    }
}

fn form(reader: &Reader<'_>) -> Markup {
    html! {
        h2 { (reader.pick("交来的文件", "Files handed in")) }
        p {
            (reader.pick(
                "由以下命令导出。一次可交两方的文件，以比对双方副本。文件只在内存中核验，不保存：",
                "They are written by the command below. Hand in those of both sides to compare their copies. \
                 They are checked in memory and not kept.",
            ))
        }
        pre tabindex="0" { code { "interlock evidence export --out evidence.json" } }
        form.sheet method="post" action="/console/evidence/files" enctype="multipart/form-data" {
            (reader.mark())
            div.field {
                label for="evidence" { (reader.pick("证据文件（JSON，合计不超过 32 MB，最多 4 个）", "Evidence files (JSON, 32 MB in all, at most 4)")) }
                input #evidence name="evidence" type="file" multiple accept=".json,application/json" required;
            }
            button type="submit" { (reader.pick("核验", "Verify")) }
        }
        h2 { (reader.pick("更大的文件", "Larger files")) }
        p { (reader.pick("用命令行离线核验，结果相同：", "The command line checks them offline, with the same result:")) }
        pre tabindex="0" { code { "interlock evidence verify first.json second.json" } }
    }
}
