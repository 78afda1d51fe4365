//! From the sections of a configuration to the settings of the rooms that obey it. All that is wrong is told at once.

use super::error::ConfigError;
use super::error::Mistakes;
use super::file::Config;
use super::file::Gps;
use super::fleet;
use super::key_source::ReadKey;
use super::lns;
use super::prepared::ReadDevices;
use super::radio::antenna_gain;
use super::server;
use super::signing::ReadCertificates;
use super::signing::SigningConfig;
use super::web::Web;
use crate::broadcast::Means;
use crate::campaign::Group;
use crate::daemon;
use crate::daemon::ClockSettings;
use crate::engine;
use crate::forwarder;
use crate::forwarder::GatewayId;
use crate::lorawan::McSessionKeys;
use crate::region::Parameters;
use crate::signing::SigningTrust;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::SocketAddr;

impl Config {
    /// The keys of one group, and the first counter that it proposes for them.
    ///
    /// # Errors
    /// There is no such group, or its key cannot be had.
    pub fn group_keys(
        &self,
        name: &str,
        read_key: ReadKey<'_>,
    ) -> Result<(McSessionKeys, Option<u32>), ConfigError> {
        let group = self.group.iter().find(|group| group.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.group.iter().map(|group| group.name.as_str()).collect();
            let message = format!("there is no group {name:?}: the configuration has {}", known.join(", "));
            ConfigError::value("group", message)
        })?;
        Ok((group.own_keys(read_key)?, group.first_fcnt))
    }

    /// The settings of the service with everything that the configuration names: the one judge for `check` and `run`.
    ///
    /// # Errors
    /// Every value that cannot be used.
    pub fn service(
        &self,
        read_key: ReadKey<'_>,
        read: ReadCertificates<'_>,
        read_devices: ReadDevices<'_>,
    ) -> Result<daemon::Settings, ConfigError> {
        let mut mistakes = Mistakes::default();
        let settings = mistakes.take(self.daemon(read_key));
        let devices = mistakes.take(self.prepared(read_devices)).unwrap_or_default();
        if let Some(settings) = &settings {
            mistakes.take(self.check_prepared(&settings.engine.groups, &devices));
        }
        let connections = mistakes.take(lns::connections(&self.lns, &self.group, &devices));
        let region = settings.as_ref().map(|settings| settings.engine.region);
        let fleets =
            region.and_then(|region| mistakes.take(fleet::fleets(&self.lns, &self.group, &devices, region)));
        // A group that cannot be used may have wrong certificates, too.
        let trusted = mistakes.take(self.trusted(read));
        if let Some(aws) = &self.aws {
            mistakes.take(aws.check(&self.group, &self.ota));
        } else if let Some(id) = self.ota.keys().next() {
            let message = "there is no [aws], so nobody looks for it: write [aws] with ota-updates";
            mistakes.add(ConfigError::value(format!("ota.{id:?}"), message));
        }
        let settings =
            settings.zip(trusted).zip(connections.zip(fleets)).map(|((mut settings, trusted), through)| {
                trusted.fill(&mut settings.engine);
                (settings.lns, settings.engine.fleets) = through;
                let region = settings.engine.region;
                fleet::hear_answers(&mut settings.engine.groups, &settings.engine.fleets, region);
                fleet::keep_canary_fcnts(&mut settings.engine.groups, &settings.engine.fleets);
                settings
            });
        mistakes.or(settings)
    }

    /// Lets a plan know which groups' answers the service hears: their sessions have room for questions. Files that are not
    /// here tell nothing. The devices of these groups.
    ///
    /// # Errors
    /// Every value that cannot be used.
    pub fn hear_answers(
        &self,
        settings: &mut engine::Settings,
        read_devices: ReadDevices<'_>,
    ) -> Result<Vec<engine::FleetSettings>, ConfigError> {
        let devices = self.prepared(read_devices)?;
        let fleets = fleet::fleets(&self.lns, &self.group, &devices, settings.region)?;
        fleet::hear_answers(&mut settings.groups, &fleets, settings.region);
        fleet::keep_canary_fcnts(&mut settings.groups, &fleets);
        Ok(fleets)
    }

    /// [`Config::service`] for `check`, which refuses a log filter that `run` takes as `info`.
    ///
    /// # Errors
    /// Every value that cannot be used.
    pub fn checked(
        &self,
        read_key: ReadKey<'_>,
        read: ReadCertificates<'_>,
        read_devices: ReadDevices<'_>,
    ) -> Result<daemon::Settings, ConfigError> {
        let mut mistakes = Mistakes::default();
        let settings = mistakes.take(self.service(read_key, read, read_devices));
        let filter = daemon::check_log_filter(&self.log.filter);
        let wrong =
            |message: String| ConfigError::value("log.filter", message.trim_start_matches("log.filter: "));
        mistakes.take(filter.map_err(wrong));
        mistakes.or(settings)
    }

    /// The settings of the engine. Keys are read through `read_key`.
    ///
    /// # Errors
    /// Every value that cannot be used.
    pub fn engine(&self, read_key: ReadKey<'_>) -> Result<engine::Settings, ConfigError> {
        let mut mistakes = Mistakes::default();
        let region = mistakes.take(self.region()).map(|(region, _)| region);
        mistakes.take(self.radio.check());
        let listen = mistakes.take(self.listen());
        let groups = region.and_then(|region| mistakes.take(self.groups(region, read_key)));
        let relay = listen.and_then(|listen| mistakes.take(server::relay(&self.network_server, listen)));
        let forwarder = mistakes.take(self.link());
        let may_send = self.network_server.iter().any(|server| !server.uplink_only);
        let kept = mistakes.take(self.radio.kept(may_send));
        let parts = region.zip(groups).zip(relay.zip(forwarder)).zip(kept);
        let settings = parts.map(|(((region, groups), (relay, forwarder)), kept)| {
            let (turns, crash_rest_us) =
                (self.radio.turns, self.state.crash_rest_s.saturating_mul(1_000_000));
            let (trust_by_task, means) = (BTreeMap::new(), self.means());
            engine::Settings {
                region,
                groups,
                trust_by_task,
                means,
                turns,
                fleets: Vec::new(),
                forwarder,
                relay,
                kept,
                crash_rest_us,
            }
        });
        mistakes.or(settings)
    }

    /// What orders of a cloud are followed with.
    fn means(&self) -> Means {
        let thing = self.aws.iter().find_map(|aws| aws.iot_credentials.as_ref()?.thing_name.clone());
        let roles = self.aws.as_ref().map(|aws| aws.assume_roles.clone()).unwrap_or_default();
        Means { fetches: self.aws.is_some() && cfg!(feature = "aws"), name: thing, roles }
    }

    fn groups(&self, region: &'static Parameters, read_key: ReadKey<'_>) -> Result<Vec<Group>, ConfigError> {
        let mut mistakes = Mistakes::default();
        let mut groups = Vec::new();
        let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        for (index, group) in self.group.iter().enumerate() {
            groups.extend(mistakes.take(group.settle(&self.radio, region, read_key)));
            if group.name.is_empty() {
                let message = "it is \"\", and tasks call a group by its name: write one, like \"meters\"";
                mistakes.add(ConfigError::value(format!("group[{index}].name"), message));
            }
            if !names.insert(&group.name) {
                let message =
                    format!("the name {:?} is used twice: tasks must know which is meant", group.name);
                mistakes.add(ConfigError::value(format!("group[{index}].name"), message));
            }
            if !addresses.insert(group.mc_addr.to_lowercase()) {
                let message = format!("{} is used twice: each group needs its own", group.mc_addr);
                mistakes.add(ConfigError::value(format!("group[{index}].mc-addr"), message));
            }
        }
        mistakes.or(Some(groups))
    }

    /// Fills `settings` with those whose signatures count. Certificates are read through `read`.
    ///
    /// # Errors
    /// Every value that cannot be used.
    pub fn trust(
        &self,
        settings: &mut engine::Settings,
        read: ReadCertificates<'_>,
    ) -> Result<(), ConfigError> {
        self.trusted(read).map(|trusted| trusted.fill(settings))
    }

    /// Whose signatures count. Certificates are read through `read`.
    fn trusted(&self, read: ReadCertificates<'_>) -> Result<Trusted, ConfigError> {
        let mut mistakes = Mistakes::default();
        let mut trusted = Trusted::default();
        let mut trust = |signing: &SigningConfig, place: String| mistakes.take(signing.trust(&place, read));
        for group in &self.group {
            let place = format!("group {}.signing", group.name);
            let own = group.signing.as_ref().and_then(|signing| trust(signing, place));
            trusted.by_group.push(own);
        }
        for task in self.aws.iter().flat_map(|aws| &aws.task) {
            let place = format!("aws.task {}.signing", task.id);
            let own = task.signing.as_ref().and_then(|signing| trust(signing, place));
            trusted.by_task.extend(own.map(|own| (task.id.clone(), own)));
        }
        for (id, update) in &self.ota {
            let own =
                update.signing.as_ref().and_then(|signing| trust(signing, format!("ota.{id:?}.signing")));
            trusted.by_task.extend(own.map(|own| (id.clone(), own)));
        }
        mistakes.or(Some(trusted))
    }

    /// Where the packet forwarder sends to.
    ///
    /// # Errors
    /// It is no address with a port.
    pub fn listen(&self) -> Result<SocketAddr, ConfigError> {
        let listen = &self.forwarder.listen;
        let message = || format!("{listen:?} is no address with a port, like 127.0.0.1:1700");
        let address: SocketAddr =
            listen.parse().map_err(|_| ConfigError::value("forwarder.listen", message()))?;
        if !address.ip().is_loopback() && self.forwarder.allow.is_empty() {
            let message = format!(
                "{listen} can be reached from the network, and the protocol knows no password: name the packet forwarder's address here, like allow = [\"192.0.2.7\"]"
            );
            return Err(ConfigError::value("forwarder.allow", message));
        }
        Ok(address)
    }

    /// The settings of the daemon. Keys are read through `read_key`.
    ///
    /// # Errors
    /// Every value that cannot be used.
    pub fn daemon(&self, read_key: ReadKey<'_>) -> Result<daemon::Settings, ConfigError> {
        let mut mistakes = Mistakes::default();
        if !(1..=3600).contains(&self.tasks.scan_s) {
            let message = format!("{} is outside 1 to 3600, in seconds", self.tasks.scan_s);
            mistakes.add(ConfigError::value("tasks.scan-s", message));
        }
        for group in &self.group {
            mistakes.take(group.check_keyless());
        }
        let engine = mistakes.take(self.engine(read_key));
        let listen = mistakes.take(self.listen());
        let gps = mistakes.take(self.gps.as_ref().map(Gps::settings).transpose());
        let web = mistakes.take(self.web.as_ref().map(Web::settings).transpose());
        let parts = engine.zip(listen).zip(gps).zip(web);
        let settings = parts.map(|(((engine, listen), gps), web)| daemon::Settings {
            engine,
            listen,
            state_dir: self.state.dir.clone(),
            tasks_folder: self.tasks.folder.clone(),
            scan_us: self.tasks.scan_s.saturating_mul(1_000_000),
            status_socket: self.status.socket.clone(),
            control_socket: self.control_socket(),
            web,
            clock: ClockSettings { trust: self.clock.trust, evidence: self.clock.evidence.clone() },
            gps,
            lns: Vec::new(),
            log: self.log.filter.clone(),
            relay_only: None,
            relay_text: self.relay_text(),
            remarks: self.remarks(),
        });
        mistakes.or(settings)
    }

    /// What is to be said of a configuration that is right, a line each.
    pub fn remarks(&self) -> Vec<String> {
        let of_group = |group: &super::group::GroupConfig| {
            [group.unsaid_session(), group.unsaid_pace(&self.radio)].into_iter().flatten()
        };
        self.group
            .iter()
            .flat_map(of_group)
            .chain(self.lns.iter().filter_map(super::lns::LnsConfig::remark))
            .collect()
    }

    /// What is wrong with `gateway.id`.
    pub(super) fn wrong_id(&self, error: &dyn std::fmt::Display) -> ConfigError {
        let id = self.gateway.id.as_deref().unwrap_or_default();
        ConfigError::value("gateway.id", format!("{id:?}: {error}"))
    }

    fn link(&self) -> Result<forwarder::Settings, ConfigError> {
        let radio = &self.radio;
        let mut mistakes = Mistakes::default();
        let gateway = self.gateway.id.as_deref().map(str::parse::<GatewayId>).transpose();
        let gateway = mistakes.take(gateway.map_err(|error| self.wrong_id(&error)));
        if radio.rf_chain > 1 {
            let message = format!("{} is not a chain of a concentrator: use 0 or 1", radio.rf_chain);
            mistakes.add(ConfigError::value("radio.rf-chain", message));
        }
        let of_antenna = antenna_gain("radio.antenna-gain-dbi", radio.antenna_gain_dbi);
        let of_forwarder = antenna_gain("radio.forwarder-antenna-gain-dbi", radio.forwarder_antenna_gain_dbi);
        let gains = mistakes.take(of_antenna).zip(mistakes.take(of_forwarder));
        let settings = gateway.zip(gains).map(|(gateway, (antenna_gain, forwarder_antenna_gain))| {
            let allow = self.forwarder.allow.iter().map(IpAddr::to_canonical).collect();
            let (rf_chain, last_pull) = (radio.rf_chain, None);
            forwarder::Settings { gateway, rf_chain, antenna_gain, forwarder_antenna_gain, allow, last_pull }
        });
        mistakes.or(settings)
    }
}

/// Whose signatures count: for each group, in their order, and for orders that say so themselves.
#[derive(Default)]
struct Trusted {
    by_group: Vec<Option<SigningTrust>>,
    by_task: BTreeMap<String, SigningTrust>,
}

impl Trusted {
    fn fill(self, settings: &mut engine::Settings) {
        for (group, trust) in settings.groups.iter_mut().zip(self.by_group) {
            group.trust = trust.unwrap_or_default();
        }
        settings.trust_by_task = self.by_task;
    }
}
