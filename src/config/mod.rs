//! The configuration: TOML, kebab-case, the unit in the key, unknown keys refused with line and suggestion.
//!
//! [`Config`] is the text as it stands, with every default filled in (`fuotad check --print` shows it);
//! [`Config::engine`] turns it into the settings of the rooms that obey it. A scenario is a configuration
//! with a world around it ([`Scenario`]), and [`Devices`] are those that `plan --setup` makes commands for.
//!
//! Nothing here opens a file: texts come in, and key files are read by the caller.

mod aws;
mod credentials;
mod device;
mod devices;
mod error;
mod file;
mod fleet;
mod forwarder_check;
mod forwarder_file;
mod group;
mod key_list;
mod key_source;
mod lines;
mod lns;
mod members;
mod ota;
mod prepared;
mod radio;
mod read;
mod rehearsal;
mod relay_only;
mod reword;
mod scenario;
mod server;
mod settings;
mod settle;
mod signing;
mod syntax;
mod web;
mod words;
mod written;

pub use aws::AwsConfig;
pub use aws::AwsTaskConfig;
pub use credentials::IotCredentialsConfig;
pub use devices::DeviceConfig;
pub use devices::Devices;
pub use devices::Hex;
pub use devices::PreparedImage;
pub use error::ConfigError;
pub use file::Clock;
pub use file::Config;
pub use file::Control;
pub use file::Forwarder;
pub use file::Gateway;
pub use file::Gps;
pub use file::Log;
pub use file::State;
pub use file::Status;
pub use file::Tasks;
pub use forwarder_check::Against;
pub use forwarder_check::Finding;
pub use forwarder_check::Severity;
pub use forwarder_file::Dialect;
pub use forwarder_file::ForwarderFile;
pub use forwarder_file::RadioPart;
pub use forwarder_file::Server;
pub use forwarder_file::with_value;
pub use group::GroupConfig;
pub use group::SessionKind;
pub use group::Unsigned;
pub use group::WrittenKey;
pub use key_list::ListedDevice;
pub use key_list::listed_devices;
pub use key_source::KeySource;
pub use lns::LnsConfig;
pub use ota::OtaConfig;
pub use prepared::ReadDevices;
pub use radio::Radio;
pub use rehearsal::Rehearsal;
pub use relay_only::Salvaged;
pub use relay_only::state_dir_in;
pub use scenario::Expect;
pub use scenario::Scenario;
pub use server::NetworkServer;
pub use server::host_and_port;
pub use signing::ReadCertificates;
pub use signing::Sha1;
pub use signing::SigningConfig;
pub use signing::ValidAt;
pub use web::Web;
