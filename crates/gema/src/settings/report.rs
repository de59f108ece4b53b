//! What `gema config` prints: the effective settings with their origins, and the reference page.

use std::fmt::Write as _;

use super::Row;
use super::declare::Setting;
use super::names;
use super::registry::{App, NEEDLESS, Process, Webhook};

/// One line per setting: its key, value and origin. Secrets are masked.
pub(crate) fn print(rows: &[Row]) -> String {
    let shown: Vec<_> =
        rows.iter().map(|row| (row.key.as_str(), shown(row), row.given.origin.to_string())).collect();
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let keys = widest(&mut shown.iter().map(|(key, ..)| key.chars().count()));
    let values =
        widest(&mut shown.iter().map(|(_, value, _)| value.chars().count()).filter(|width| *width <= 40));
    shown.iter().fold(String::new(), |mut page, (key, value, origin)| {
        let _ = writeln!(page, "{key:keys$} = {value:values$}  # {origin}");
        page
    })
}

fn shown(row: &Row) -> String {
    match row.given.text.as_str() {
        "" => "(unset)".to_owned(),
        _ if row.setting.secret => "***".to_owned(),
        text => format!("{text:?}"),
    }
}

/// The reference page of all settings, in Markdown.
pub(crate) fn reference() -> String {
    let mut page = String::from(HEAD);
    let mut section = "";
    for setting in Process::TABLE {
        let begins = setting.key.split('.').next().unwrap_or_default();
        if begins != section {
            section = begins;
            let _ = writeln!(page, "\n## `[{section}]`\n\n{TABLE_HEAD}");
        }
        describe(&mut page, setting, setting.key);
    }
    let _ = writeln!(page, "\n## `[app]` and `[[apps]]`\n{APPS}\n{TABLE_HEAD}");
    for setting in App::TABLE {
        describe(&mut page, setting, &names::app_key(setting));
    }
    let _ = writeln!(page, "\n## `[app.webhook]` and `[[app.webhooks]]`\n{WEBHOOKS}\n{TABLE_HEAD}");
    for setting in Webhook::TABLE {
        describe(&mut page, setting, &format!("app.{}", names::webhook_key(setting)));
    }
    page.push_str("\n## Accepted and without effect\n\n");
    for needless in NEEDLESS {
        let _ = writeln!(page, "- `{}`: {}.", needless.env, needless.why);
    }
    page
}

fn describe(page: &mut String, setting: &Setting, key: &str) {
    let doc: Vec<_> = setting.doc.iter().map(|line| line.trim()).collect();
    let flags: Vec<_> = setting.flags.iter().map(|flag| format!("`--{}`", flag.name)).collect();
    let default = match (setting.default, setting.pusher_default) {
        ("", None) => "unset".to_owned(),
        ("", Some(pusher)) => format!("unset; `pusher`: `{pusher}`"),
        (default, None) => format!("`{default}`"),
        (default, Some("")) => format!("`{default}`; `pusher`: unset"),
        (default, Some(pusher)) => format!("`{default}`; `pusher`: `{pusher}`"),
    };
    let _ = writeln!(
        page,
        "| `{key}` | `{}` | {} | {default} | {} It is {}. |",
        setting.env,
        flags.join(", "),
        doc.join(" ").replace('|', "\\|"),
        (setting.expected)().replace('|', "\\|"),
    );
}

const TABLE_HEAD: &str =
    "| Key in `gema.toml` | Variable | Flag | Default | What it does |\n|---|---|---|---|---|";

const HEAD: &str = "# Settings

Written by `gema config reference`; `gema config print` shows the values in effect and where each comes from.

Flags win over the environment, the environment over `.env`, `.env` over `gema.toml`, and that over the defaults.
`.env` and `gema.toml` are looked for in the working directory; `--env-file` and `--config` name other files, which
must then exist. An empty value means unset. An unknown key in `gema.toml` and an unknown `GEMA_*` variable are
errors, an unknown `REVERB_*` variable is a warning, all other variables are ignored. `.env` is read as Laravel reads it.
";

const APPS: &str = "
`[app]` and the variables describe one app. Each `[[apps]]` of `gema.toml` adds another with the same keys and its
own `id`, `key` and `secret`; what it leaves out it has from `[app]`. The attendance API uses the first app.
";

const WEBHOOKS: &str = "
`[app.webhook]` and the variables describe one endpoint. Each `[[app.webhooks]]` adds another with the same keys. An app
of `[[apps]]` has its own, as `[apps.webhook]` and `[[apps.webhooks]]`; it has none from `[app]`.
";
