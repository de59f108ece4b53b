//! The endpoints of an app's webhooks: the one of `webhook` (and of the variables), then each of `[[webhooks]]`.

use gema_protocol::webhook::Kind;

use super::declare::Setting;
use super::registry::Webhook;
use super::sources::Given;
use super::{Loader, Row, names, read_rows};

impl Loader {
    /// Reads the endpoints of the app at `path`, `app` or `apps[0]`. Without an id the app is refused anyway.
    pub(super) fn webhooks(&mut self, path: &str, app_id: Option<&str>) {
        let single = |setting: &Setting| self.webhook_value(path, &names::webhook_key(setting), setting);
        let mut endpoints = vec![("webhook".to_owned(), Webhook::TABLE.iter().map(single).collect())];
        loop {
            let key = format!("webhooks[{}]", endpoints.len() - 1);
            let listed = |setting: &Setting| self.in_app(path, &format!("{key}.{}", setting.key));
            let values: Vec<_> = Webhook::TABLE.iter().map(listed).collect();
            if values.iter().all(Option::is_none) {
                break;
            }
            endpoints.push((key, values));
        }
        for (key, values) in endpoints {
            let webhook = self.webhook(&format!("{path}.{key}"), values);
            let webhook = webhook.filter(|webhook| webhook.url.is_some());
            self.webhooks.extend(app_id.map(str::to_owned).zip(webhook));
        }
    }

    fn webhook(&mut self, path: &str, values: Vec<Option<Given>>) -> Option<Webhook> {
        let row = |(setting, given): (&'static Setting, _)| {
            Row::new(setting, format!("{path}.{}", setting.key), given, setting.default)
        };
        let rows: Vec<_> = Webhook::TABLE.iter().zip(values).map(row).collect();
        let (webhook, refused) = read_rows(&rows, Webhook::read);
        let names = webhook.as_ref().and_then(|webhook| webhook.events.as_ref()).map(|list| &list.0);
        let unknown: Vec<_> =
            names.into_iter().flatten().filter(|name| Kind::parse(name).is_none()).collect();
        if let Some(row) =
            rows.iter().find(|row| row.setting.field == "events" && row.setting.roles.meets(self.role))
        {
            self.refuse(unknown.into_iter().map(|name| {
                let nearest = names::nearest(name, Kind::ALL.iter().map(|kind| kind.name()));
                format!("{}: there is no event {name:?}; did you mean {nearest}?", row.name())
            }));
        }
        self.keep(rows, &refused);
        webhook
    }

    /// A value of the single endpoint: only the app of the environment has variables.
    fn webhook_value(&self, path: &str, key: &str, setting: &Setting) -> Option<Given> {
        if path == "app" {
            return self.sources.value(setting, &format!("app.{key}"), self.role);
        }
        self.in_app(path, key)
    }

    /// A value of `gema.toml`, of `[app]` or of one of `[[apps]]`.
    fn in_app(&self, path: &str, key: &str) -> Option<Given> {
        let file = &self.sources.file;
        let index = path.strip_prefix("apps[").and_then(|rest| rest.strip_suffix(']')?.parse::<usize>().ok());
        let found = match index {
            Some(index) => file.apps.get(index)?.get(key),
            None => file.process.get(&format!("{path}.{key}")),
        };
        self.sources.in_file(found)
    }
}
