//! Pages that say why something is not shown or not done.
//!
//! INVARIANT: a refusal is said in the reader's language where its kind has words here, and as the
//! node wrote it, marked as English, where it has none.

use maud::{Markup, html};

use super::frame::{Reader, Section, Sheet, sheet};
use crate::node::io::Problem;
use crate::pages::Language;
use crate::pages::layout::Tone;

/// What went wrong and what to do, in Chinese, by the kind of the problem.
const CHINESE: &[(&str, &str)] = &[
    ("forbidden", "您的账号没有此权限。请联系管理员。"),
    (
        "one-time-code",
        "没有执行。请输入身份验证器当前显示的 6 位动态码，每个码只能用一次。",
    ),
    (
        "one-time-code-locked",
        "动态码错误次数过多，没有执行。请等待 15 分钟，或请管理员重新绑定。",
    ),
    ("four-eyes", "没有执行：须由另一人同意；号码只给请求人看。"),
    (
        "asker-withdrawn",
        "没有执行：申请人已不是管理员，但仍持有此密钥。请撤销此密钥，另建一个。",
    ),
    (
        "too-many-keys",
        "没有执行：等待批准的密钥过多。请先批准或撤销。",
    ),
    (
        "not-shown",
        "号码没有显示：尚未获同意、已看过、同意已超过 15 分钟，或收件人信息已删除。请重新请求。",
    ),
    (
        "too-many-reveals",
        "已有 100 个请求等待他人同意，没有执行。请先处理。",
    ),
    (
        "not-found",
        "没有执行：本节点没有此项，或收件人信息已删除。请核对后再试。",
    ),
    ("malformed", "没有执行。请更正以下各项后再提交。"),
    (
        "last-admin",
        "这是最后一个管理员，没有执行。请先添加另一个管理员。",
    ),
    ("busy", "请求过多，没有执行。请稍后再试。"),
    ("stopping", "节点正在停止。请稍后查看是否已执行。"),
    ("too-large", "内容过大，没有执行。请缩短。"),
    (
        "no-evidence",
        "文件不是证据文件，或已被截断、改动。请重新索取。",
    ),
    ("no-files", "没有收到文件。请选择 1 至 4 个文件后再提交。"),
    (
        "form-expired",
        "页面已过期，没有执行。请在本页重新选择并提交。",
    ),
    (
        "internal",
        "节点出错，操作可能已执行。请告知管理员出错时间。",
    ),
    (
        "wrong-state",
        "当前状态下不能执行此操作。请刷新页面查看最新状态。",
    ),
    (
        "version-changed",
        "条款已变更，没有执行。请查看新条款后再决定。",
    ),
];

/// The problem in words.
pub(super) fn words(reader: &Reader<'_>, problem: &Problem) -> Markup {
    let chinese = CHINESE.iter().find(|(kind, _)| *kind == problem.kind);
    match (reader.language, chinese) {
        (Language::Chinese, Some((_, text))) => html! { (text) },
        (Language::Chinese, None) => html! { span lang="en" { (problem.detail) } },
        (Language::English, _) => html! { (problem.detail) },
    }
}

/// A refusal on a page of its own.
pub fn refused(reader: &Reader<'_>, problem: &Problem) -> Markup {
    let title = match problem.status {
        403 => reader.pick("没有权限", "Not allowed"),
        _ => reader.pick("出错", "Error"),
    };
    let main = html! {
        h1.stopped { (Tone::Stopped.shape()) (title) }
        p.lead { (words(reader, problem)) }
        @if !problem.errors.is_empty() {
            ul { @for error in &problem.errors { li lang="en" { code { (error.pointer) } " " (error.detail) } } }
        }
        p.muted { (reader.pick("编号：", "Reference: ")) code { (problem.kind) } }
    };
    plain(reader, title, &main)
}

/// 404: unknown, or not this reader's.
pub fn not_found(reader: &Reader<'_>) -> Markup {
    let title = reader.pick("没有此页面", "No such page");
    let main = html! {
        h1.unknown { (Tone::Unknown.shape()) (title) }
        p.lead {
            (reader.pick(
                "此地址没有内容，或不属于您。请检查链接是否完整。",
                "There is nothing at this address, or it is not yours. Check that the link is complete.",
            ))
        }
    };
    plain(reader, title, &main)
}

/// 403: another site sent a form to us.
pub fn foreign_form(reader: &Reader<'_>) -> Markup {
    let title = reader.pick("出错", "Error");
    let main = html! {
        h1.stopped { (Tone::Stopped.shape()) (title) }
        p.lead {
            (reader.pick(
                "此表单来自其他网站，没有执行任何操作。请在本站页面上操作。",
                "This form came from another site, and nothing was done. Use the pages of this site.",
            ))
        }
    };
    plain(reader, title, &main)
}

fn plain(reader: &Reader<'_>, title: &str, main: &Markup) -> Markup {
    let page = Sheet {
        title,
        section: Section::None,
        wide: false,
    };
    sheet(reader, &page, main)
}
