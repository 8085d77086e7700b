//! The app's windows, pages and dialogs: one relm4 component each.

pub(crate) mod about;
mod activity;
pub(crate) mod ask;
pub(crate) mod console;
mod dropped;
pub(crate) mod help;
pub(crate) mod logs;
pub(crate) mod machine_list;
pub(crate) mod machine_page;
pub(crate) mod menus;
pub(crate) mod new_machine;
mod number_row;
mod pick_cd;
pub(crate) mod preferences;
pub(crate) mod serial;
pub(crate) mod settings;
pub(crate) mod shortcuts;
pub(crate) mod window;
