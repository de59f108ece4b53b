//! What a setting is, and the macro that turns one table into a typed struct and its list of declarations.
//!
//! The macro wants a doc comment for every setting: one without does not compile. The tables are in `registry.rs`.

use super::value::Value;

/// The server roles, as bits, that use a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Roles(u8);

impl Roles {
    /// `gema broadcast`.
    pub(crate) const BROADCAST: Self = Self(1);
    /// `gema attendance`.
    pub(crate) const ATTENDANCE: Self = Self(2);
    /// `gema worker`.
    pub(crate) const WORKER: Self = Self(4);
    /// `gema migrate`.
    pub(crate) const MIGRATE: Self = Self(8);
    /// `gema serve`: broadcast, attendance and worker in one.
    pub(crate) const SERVE: Self = Self(16);
    /// The roles that listen.
    pub(crate) const LISTENERS: Self = Self::BROADCAST.or(Self::ATTENDANCE).or(Self::SERVE);
    /// Every role.
    pub(crate) const ALL: Self = Self(31);

    /// Both sets together.
    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if the sets share a role.
    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A command line flag that gives a setting its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    /// Its name without the dashes.
    pub(crate) name: &'static str,
    /// The roles whose commands have it.
    pub(crate) roles: Roles,
    /// A flag without a value of its own stands for this one.
    pub(crate) stands_for: Option<&'static str>,
}

/// One setting, as declared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// The field in the typed struct.
    pub(crate) field: &'static str,
    /// What it does; the lines of its doc comment.
    pub(crate) doc: &'static [&'static str],
    /// What its values look like.
    pub(crate) expected: fn() -> String,
    /// Its value if no source has one; empty means unset.
    pub(crate) default: &'static str,
    /// Its default for an app with the profile `pusher`, where that differs.
    pub(crate) pusher_default: Option<&'static str>,
    /// Its environment variable.
    pub(crate) env: &'static str,
    /// Its dotted key in `gema.toml` (for an app: within `[app]` or one of `[[apps]]`).
    pub(crate) key: &'static str,
    /// Its flags, at most one per role.
    pub(crate) flags: &'static [Flag],
    /// The roles that read it; a bad value stops only these.
    pub(crate) roles: Roles,
    /// Whether its value must never be shown.
    pub(crate) secret: bool,
}

impl Setting {
    /// A setting of all roles with an environment variable and a key in `gema.toml`.
    pub(crate) const fn named(env: &'static str, key: &'static str) -> Self {
        Self {
            field: "",
            doc: &[],
            expected: String::new,
            default: "",
            pusher_default: None,
            env,
            key,
            flags: &[],
            roles: Roles::ALL,
            secret: false,
        }
    }

    /// Limits the setting to the roles that read it.
    pub(crate) const fn used_by(mut self, roles: Roles) -> Self {
        self.roles = roles;
        self
    }

    /// Gives the setting command line flags.
    pub(crate) const fn flags(mut self, flags: &'static [Flag]) -> Self {
        self.flags = flags;
        self
    }

    /// Keeps the value out of everything that is printed.
    pub(crate) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Gives the default that an app with the profile `pusher` has.
    pub(crate) const fn for_pusher(mut self, default: &'static str) -> Self {
        self.pusher_default = Some(default);
        self
    }

    /// The flag that the commands of `role` have for this setting.
    pub(crate) fn flag(&self, role: Roles) -> Option<&'static Flag> {
        self.flags.iter().find(|flag| flag.roles.meets(role))
    }
}

/// Reads one value, or says which type it should have had.
pub(crate) fn read<T: Value>(text: &str) -> Option<T> {
    T::parse(text)
}

/// Declares a struct of settings:
/// `/// What it does.` then `field: Type = "default", Setting::named("ENV", "key");`
/// A field that nothing reads is a compiler warning: no setting can be ignored by oversight.
macro_rules! settings {
    ($(#[doc = $struct_doc:literal])+ $name:ident {
        $(
            $(#[doc = $doc:literal])+ $(#[expect($($unread:tt)*)])?
            $field:ident: $type:ty = $default:literal, $spec:expr;
        )+
    }) => {
        $(#[doc = $struct_doc])+
        #[derive(Debug)]
        pub(crate) struct $name {
            $($(#[doc = $doc])+ $(#[expect($($unread)*)])? pub(crate) $field: $type),+
        }

        impl $name {
            /// The declarations, in the order of the reference page.
            pub(crate) const TABLE: &'static [Setting] = &[$(Setting {
                field: stringify!($field),
                doc: &[$($doc),+],
                expected: <$type as Value>::expected,
                default: $default,
                ..$spec
            }),+];

            /// Reads all values; `text_of` gives the text of a declaration, and hears with `refuse` that it was bad
            /// (the declared default takes its place until the caller gives up).
            pub(crate) fn read(
                text_of: &dyn Fn(&'static Setting) -> String,
                refuse: &mut dyn FnMut(&'static Setting),
            ) -> Option<Self> {
                let mut declarations = Self::TABLE.iter();
                Some(Self { $($field: {
                    let setting = declarations.next()?;
                    match read::<$type>(&text_of(setting)) {
                        Some(value) => value,
                        None => {
                            refuse(setting);
                            read(setting.default)?
                        }
                    }
                }),+ })
            }
        }
    };
}

pub(crate) use settings;
