//! From a `[[group]]` as written to the group that campaigns are sent to: defaults of `[radio]` and the region, bounds,
//! the law, keys.

use super::error::ConfigError;
use super::error::Mistakes;
use super::group::GroupConfig;
use super::group::ImageKind;
use super::group::SessionKind;
use super::group::Unsigned;
use super::key_source::KeySource;
use super::key_source::ReadKey;
use super::radio::Radio;
use super::radio::decibels;
use super::radio::fraction_ppm;
use crate::campaign::Group;
use crate::campaign::SESSIONS_ALLOWED_MAX;
use crate::campaign::Session;
use crate::campaign::SessionLimits;
use crate::campaign::SessionRule;
use crate::forwarder::timing::GAP_US;
use crate::lorawan::McAddr;
use crate::lorawan::McSessionKeys;
use crate::lorawan::Secret;
use crate::radio::Dbm;
use crate::region::Parameters;
use crate::region::RegionError;
use crate::region::Terms;
use crate::schedule::Pattern;
use crate::schedule::TxPolicy;
use crate::signing::SigningTrust;
use crate::task::gps_from_rfc3339;
use crate::time::GpsTime;

/// Campaigns' part of the law where frames are spread evenly.
const EVEN_DUTY_SHARE: f64 = 0.4;
/// The part of a minute that even spacing may take, and that a burst may: what is heard in an hour, `min-heard` bounds.
const EVEN_MAX_DEAF: f64 = 0.2;
const BURST_MAX_DEAF: f64 = 0.5;
/// The longest session is 2^15 s (TS005-1.0.0 3.5).
const EXPONENT_MAX: u8 = 15;
/// The longest session, seconds.
const PRICE_MAX_S: u32 = 32_768;
/// Less is not enough for a device's start-up and rounding, seconds.
const GUARD_MIN_S: u64 = 2;

/// What a packet forwarder needs between two frames, milliseconds.
const GAP_MIN_MS: u64 = GAP_US.div_ceil(1000);
/// More than any stack needs, milliseconds.
const GAP_MAX_MS: u64 = 600_000;
/// What a group may leave to `[radio]` and the region.
struct Air {
    terms: Terms,
    frequency_hz: u32,
    data_rate: u8,
    eirp: Dbm,
    duty_share: f64,
    max_deaf: f64,
    spacing: Pattern,
}

impl GroupConfig {
    /// The group with its defaults from `[radio]` and the region written out.
    ///
    /// # Errors
    /// A default that cannot be used.
    pub fn filled(&self, radio: &Radio, region: &Parameters) -> Result<GroupConfig, ConfigError> {
        let air = self.air(radio, region)?;
        Ok(GroupConfig {
            session: Some(self.session()),
            session_guard_s: Some(self.guard_us() / 1_000_000),
            frequency_hz: Some(air.frequency_hz),
            data_rate: Some(air.data_rate),
            eirp_dbm: Some(f64::from(air.eirp.centi()) / 100.0),
            duty_share: Some(air.duty_share),
            max_deaf: Some(air.max_deaf),
            spacing: Some(air.spacing),
            ..self.clone()
        })
    }

    /// The group with its defaults from `[radio]` and the region, its keys read through `read_key`.
    ///
    /// # Errors
    /// Every value that cannot be used, under the key that it stands at.
    pub fn settle(
        &self,
        radio: &Radio,
        region: &Parameters,
        read_key: ReadKey<'_>,
    ) -> Result<Group, ConfigError> {
        let mut mistakes = Mistakes::default();
        mistakes.take(self.check_numbers());
        let guard_us = self.guard_us();
        let session = mistakes.take(self.session_rule(guard_us));
        let air = mistakes.take(self.air(radio, region));
        if let Some(air) = &air {
            mistakes.take(self.check_air(air, radio, region));
        }
        let policy = air.as_ref().and_then(|air| mistakes.take(self.policy(air, radio)));
        let keys = mistakes.take(self.mc_addr()).and_then(|mc_addr| {
            let (mc_key, keys) = mistakes.take(self.keys(mc_addr, read_key))?;
            Some((mc_addr, mc_key, keys))
        });
        let power = mistakes.take(self.power());
        let parts = keys.zip(air).zip(session.zip(policy)).zip(power);
        let group = parts.map(|((((mc_addr, mc_key, keys), air), (session, policy)), power)| Group {
            name: self.name.clone(),
            mc_addr,
            keys,
            mc_key,
            first_fcnt: self.first_fcnt,
            ts004_version: self.ts004_version,
            fport: self.fport,
            session,
            profile: self.profile(),
            power,
            frequency_hz: air.frequency_hz,
            data_rate: air.data_rate,
            eirp: air.eirp,
            terms: air.terms,
            policy,
            trust: SigningTrust::default(),
            accepts_unsigned: self.unsigned == Some(Unsigned::Accept),
            sessions: SessionLimits {
                most: self.max_sessions,
                price_us: u64::from(self.session_price_s) * 1_000_000,
                further: false,
            },
            takes_any_image: self.image_kind == Some(ImageKind::Any),
            is_set_up_here: false,
            answer_window: None,
            redundancy: self.redundancy.unwrap_or_default().rule(),
            canary_fcnts: 0,
            guard_us,
        });
        mistakes.or(group)
    }

    /// What is written, or what the devices' clocks ask for.
    fn guard_us(&self) -> u64 {
        let written_us = self.session_guard_s.map(|guard_s| guard_s.saturating_mul(1_000_000));
        written_us.unwrap_or_else(|| self.device_profile.profile().guard_us())
    }

    pub(super) fn wrong(&self, key: &str, message: impl ToString) -> ConfigError {
        ConfigError::value(format!("group {}.{key}", self.name), message)
    }

    fn mc_addr(&self) -> Result<McAddr, ConfigError> {
        self.mc_addr.parse().map_err(|error| self.wrong("mc-addr", format!("{:?}: {error}", self.mc_addr)))
    }

    /// What depends on nothing but itself.
    fn check_numbers(&self) -> Result<(), ConfigError> {
        let mut mistakes = Mistakes::default();
        if !(1..=223).contains(&self.fport) {
            let message = format!("{} is not an application port: use 1 to 223", self.fport);
            mistakes.add(self.wrong("fport", message));
        }
        if let Some(first) = self.first_fcnt.filter(|first| !(2..=65_534).contains(first)) {
            let message = format!("{first} is outside 2 to 65534: devices misread other counters");
            mistakes.add(self.wrong("first-fcnt", message));
        }
        let profile = self.device_profile.profile();
        if profile.only_ts004.is_some_and(|only| only != self.ts004_version) {
            let message = format!("devices of {profile} have version 1 only: write 1");
            mistakes.add(self.wrong("ts004-version", message));
        }
        if let Some(guard_s) = self.session_guard_s.filter(|guard_s| *guard_s < GUARD_MIN_S) {
            let message = format!("{guard_s} s is too short: at least {GUARD_MIN_S}");
            mistakes.add(self.wrong("session-guard-s", message));
        }
        for (key, gap_ms) in [("gap-uncoded-ms", self.gap_uncoded_ms), ("gap-coded-ms", self.gap_coded_ms)] {
            if let Some(gap_ms) = gap_ms.filter(|gap_ms| !(GAP_MIN_MS..=GAP_MAX_MS).contains(gap_ms)) {
                let message = format!(
                    "{gap_ms} ms is outside {GAP_MIN_MS} to {GAP_MAX_MS}: packet forwarders take no two frames that are nearer"
                );
                mistakes.add(self.wrong(key, message));
            }
        }
        if let Some(most) = self.max_sessions.filter(|most| !(1..=SESSIONS_ALLOWED_MAX).contains(most)) {
            let message = format!(
                "{most} is outside 1 to {SESSIONS_ALLOWED_MAX}: write how often devices can be told a session"
            );
            mistakes.add(self.wrong("max-sessions", message));
        }
        if self.session_price_s > PRICE_MAX_S {
            let message = format!(
                "{} s is longer than the longest session: write 0 to {PRICE_MAX_S}",
                self.session_price_s
            );
            mistakes.add(self.wrong("session-price-s", message));
        }
        mistakes.or(Some(()))
    }

    fn air(&self, radio: &Radio, region: &Parameters) -> Result<Air, ConfigError> {
        let frequency_hz = self.frequency_hz.or(radio.frequency_hz).unwrap_or(region.rx2.frequency_hz);
        let mut mistakes = Mistakes::default();
        let terms = mistakes.take(self.terms(radio, region));
        let usual = region.default_eirp(&terms.clone().unwrap_or_default(), frequency_hz);
        let eirp = mistakes.take(self.eirp(radio, usual));
        let (duty_share, spacing) = self.usual_pace(radio);
        let spacing = self.spacing.or(radio.spacing).unwrap_or(spacing);
        let max_deaf = if spacing == Pattern::Even { EVEN_MAX_DEAF } else { BURST_MAX_DEAF };
        let air = terms.zip(eirp).map(|(terms, eirp)| Air {
            terms,
            frequency_hz,
            data_rate: self.data_rate.or(radio.data_rate).unwrap_or(region.rx2.dr),
            eirp,
            duty_share: self.duty_share.or(radio.duty_share).unwrap_or(duty_share),
            max_deaf: self.max_deaf.or(radio.max_deaf).unwrap_or(max_deaf),
            spacing,
        });
        mistakes.or(air)
    }

    /// Share and spacing where they are not written: as fast as devices, hearing and law allow for devices that listen
    /// in sessions, a part of the law spread evenly for those that always listen, or where one of the two is written.
    fn usual_pace(&self, radio: &Radio) -> (f64, Pattern) {
        match self.is_paced(radio) || self.session() == SessionKind::Always {
            true => (EVEN_DUTY_SHARE, Pattern::Even),
            false => (1.0, Pattern::Burst),
        }
    }

    fn is_paced(&self, radio: &Radio) -> bool {
        let shares = self.duty_share.or(radio.duty_share);
        shares.is_some() || self.spacing.or(radio.spacing).is_some()
    }

    /// What is to be said once of a group whose pace is not written and is another one than it was.
    pub(super) fn unsaid_pace(&self, radio: &Radio) -> Option<String> {
        let is_new = !self.is_paced(radio) && self.session() == SessionKind::Windows;
        is_new.then(|| {
            format!(
                "group {}.spacing: neither it nor duty-share is written, which means as fast as devices and the law allow, in bursts (it once meant duty-share = 0.4, spacing = \"even\"): write one of them to say which",
                self.name
            )
        })
    }

    /// Whether the law takes it, and devices hear it.
    fn check_air(&self, air: &Air, radio: &Radio, region: &Parameters) -> Result<(), ConfigError> {
        let mut mistakes = Mistakes::default();
        let rx2 = &region.rx2;
        let (mut frequency_hz, mut data_rate) = (air.frequency_hz, air.data_rate);
        // What is wrong is put right by the region's own, so that the rest is seen.
        while let Err(error) = region.check_under(&air.terms, frequency_hz, data_rate, air.eirp) {
            let key = key_of(&error);
            // The usual power of another sub-band is nobody's mistake.
            let is_asked = self.eirp_dbm.or(radio.eirp_dbm).is_some();
            if key == "eirp-dbm"
                && !is_asked
                && (frequency_hz, data_rate) != (air.frequency_hz, air.data_rate)
            {
                break;
            }
            let message = format!("{error}{}", way_out(&error));
            mistakes.add(ConfigError::value(self.place_of(key, radio), message));
            match key {
                "data-rate" if data_rate != rx2.dr => data_rate = rx2.dr,
                "frequency-hz" if frequency_hz != rx2.frequency_hz => frequency_hz = rx2.frequency_hz,
                _ => break,
            }
        }
        let is_rx2 = (air.frequency_hz, air.data_rate) == (rx2.frequency_hz, rx2.dr);
        if self.session() == SessionKind::Always && !is_rx2 && !self.rx_is_elsewhere {
            let message = format!(
                "\"always\" is for devices that always listen, and those of {} listen at {} Hz and DR{}, while this group is sent at {} Hz and DR{}: write session = \"windows\", or rx-is-elsewhere = true where the devices were set to listen there",
                region.region, rx2.frequency_hz, rx2.dr, air.frequency_hz, air.data_rate
            );
            mistakes.add(self.wrong("session", message));
        }
        mistakes.or(Some(()))
    }

    fn policy(&self, air: &Air, radio: &Radio) -> Result<TxPolicy, ConfigError> {
        let mut mistakes = Mistakes::default();
        let duty_share = fraction_ppm(&self.place_of("duty-share", radio), air.duty_share);
        let max_deaf = fraction_ppm(&self.place_of("max-deaf", radio), air.max_deaf);
        let parts = mistakes.take(duty_share).zip(mistakes.take(max_deaf));
        let policy = parts.map(|(duty_share_ppm, max_deaf_ppm)| TxPolicy {
            duty_share_ppm,
            max_deaf_ppm,
            pattern: air.spacing,
        });
        mistakes.or(policy)
    }

    /// The key at which the value of `key` stands: the group's own, or that of `[radio]` where the group leaves it there.
    fn place_of(&self, key: &str, radio: &Radio) -> String {
        let (own, of_radio) = match key {
            "frequency-hz" => (self.frequency_hz.is_some(), radio.frequency_hz.is_some()),
            "data-rate" => (self.data_rate.is_some(), radio.data_rate.is_some()),
            "eirp-dbm" => (self.eirp_dbm.is_some(), radio.eirp_dbm.is_some()),
            "sub-band" => (self.sub_band.is_some(), radio.sub_band.is_some()),
            "duty-share" => (self.duty_share.is_some(), radio.duty_share.is_some()),
            "max-deaf" => (self.max_deaf.is_some(), radio.max_deaf.is_some()),
            _ => (true, false),
        };
        if !own && of_radio { format!("radio.{key}") } else { format!("group {}.{key}", self.name) }
    }

    fn terms(&self, radio: &Radio, region: &Parameters) -> Result<Terms, ConfigError> {
        if self.downlink_dwell && region.dwell_downlink_us.is_none() {
            let message =
                format!("it is true, but downlinks of {} have no dwell time: leave it out", region.region);
            return Err(self.wrong("downlink-dwell", message));
        }
        Ok(Terms {
            sub_band: self.sub_band.clone().or_else(|| radio.sub_band.clone()),
            listens_before_talk: radio.listen_before_talk,
            downlink_dwell: self.downlink_dwell,
            antenna_gain: Some(decibels("radio.antenna-gain-dbi", radio.antenna_gain_dbi)?),
        })
    }

    /// The power asked for, or `usual`, within the operator's own limit.
    fn eirp(&self, radio: &Radio, usual: Dbm) -> Result<Dbm, ConfigError> {
        let key = self.place_of("eirp-dbm", radio);
        let asked = self.eirp_dbm.or(radio.eirp_dbm).map(|dbm| decibels(&key, dbm)).transpose()?;
        let limit = radio.max_eirp_dbm.map(|dbm| decibels("radio.max-eirp-dbm", dbm)).transpose()?;
        match (asked, limit) {
            (Some(asked), Some(limit)) if asked > limit => {
                let message =
                    format!("{asked} dBm EIRP is over your own limit of radio.max-eirp-dbm = {limit}");
                Err(ConfigError::value(key, message))
            }
            (Some(asked), _) => Ok(asked),
            (None, limit) => Ok(limit.map_or(usual, |limit| limit.min(usual))),
        }
    }

    fn session_rule(&self, guard_us: u64) -> Result<SessionRule, ConfigError> {
        if self.session() == SessionKind::Always {
            if self.session_timeout_exponent.is_some() || self.session_start.is_some() {
                let message = "\"always\" has no sessions: write session = \"windows\", or leave session-timeout-exponent and session-start out";
                return Err(self.wrong("session", message));
            }
            return Ok(SessionRule::Always);
        }
        let mut mistakes = Mistakes::default();
        let longest = self.session_timeout_exponent.unwrap_or(EXPONENT_MAX);
        let session = Session { start: GpsTime::from_us(0), exponent: longest };
        if longest > EXPONENT_MAX {
            let message = format!("{longest} is over 15: a session lasts at most 2^15 s");
            mistakes.add(self.wrong("session-timeout-exponent", message));
        } else if session.length_us() <= guard_us.saturating_mul(2) {
            let guard_s = guard_us.div_ceil(1_000_000);
            let message = format!(
                "a session of 2^{longest} s has no room between two guards of {guard_s} s: make the exponent larger or session-guard-s smaller"
            );
            let key = self.session_timeout_exponent.map_or("session-guard-s", |_| "session-timeout-exponent");
            mistakes.add(self.wrong(key, message));
        }
        let read = |text: &String| {
            gps_from_rfc3339(text).ok_or_else(|| {
                self.wrong("session-start", format!("{text:?} is no RFC 3339 time like 2026-11-22T08:00:00Z"))
            })
        };
        let start = mistakes.take(self.session_start.as_ref().map(read).transpose());
        mistakes
            .or(start.map(|start| SessionRule::Windows { exponent: self.session_timeout_exponent, start }))
    }

    /// Whether no key stands in it, as one does in a scenario.
    pub(super) fn check_keyless(&self) -> Result<(), ConfigError> {
        let message = "a configuration is copied and shown, so no key stands in it: put the key into a file of mode 0600 and name it in mc-key-file";
        self.mc_key.as_ref().map_or(Ok(()), |_| Err(self.wrong("mc-key", message)))
    }

    /// Its keys, for whoever asks about them alone.
    pub(super) fn own_keys(&self, read_key: ReadKey<'_>) -> Result<McSessionKeys, ConfigError> {
        self.check_keyless()?;
        Ok(self.keys(self.mc_addr()?, read_key)?.1)
    }

    fn keys(
        &self,
        mc_addr: McAddr,
        read_key: ReadKey<'_>,
    ) -> Result<(Option<Secret>, McSessionKeys), ConfigError> {
        let from_mc_key = |mc_key: Secret| {
            let keys = McSessionKeys::derive(&mc_key, mc_addr);
            (Some(mc_key), keys)
        };
        let mut read = |key: &str, source| read_key(source).map_err(|message| self.wrong(key, message));
        let session_keys = (&self.mc_nwk_s_key_file, &self.mc_app_s_key_file);
        match (&self.mc_key, &self.mc_key_file, &self.mc_key_credential, session_keys) {
            (Some(mc_key), None, None, (None, None)) => Ok(from_mc_key(mc_key.secret())),
            (None, Some(path), None, (None, None)) => {
                read("mc-key-file", KeySource::File(path)).map(from_mc_key)
            }
            (None, None, Some(name), (None, None)) => {
                read("mc-key-credential", KeySource::Credential(name)).map(from_mc_key)
            }
            (None, None, None, (Some(nwk), Some(app))) => {
                let mut mistakes = Mistakes::default();
                let nwk = mistakes.take(read("mc-nwk-s-key-file", KeySource::File(nwk)));
                let app = mistakes.take(read("mc-app-s-key-file", KeySource::File(app)));
                mistakes.or(nwk.zip(app).map(|(nwk, app)| (None, McSessionKeys::from_parts(nwk, app))))
            }
            _ => Err(self.wrong("mc-key-file", self.sources_of_keys())),
        }
    }

    /// Which sources of keys are written, and what may be.
    fn sources_of_keys(&self) -> String {
        let written = [
            ("mc-key", self.mc_key.is_some()),
            ("mc-key-file", self.mc_key_file.is_some()),
            ("mc-key-credential", self.mc_key_credential.is_some()),
            ("mc-nwk-s-key-file", self.mc_nwk_s_key_file.is_some()),
            ("mc-app-s-key-file", self.mc_app_s_key_file.is_some()),
        ];
        let written: Vec<&str> = written.iter().filter(|(_, is)| *is).map(|(key, _)| *key).collect();
        let found = if written.is_empty() { "nothing".to_owned() } else { written.join(", ") };
        format!(
            "{found} says where the key is: write one of it, mc-key-credential, or both mc-nwk-s-key-file and mc-app-s-key-file (in a scenario mc-key)"
        )
    }
}

/// Which key leads out of what the region refuses.
fn key_of(error: &RegionError) -> &'static str {
    match error {
        RegionError::UplinkOnly { .. } | RegionError::UnknownDataRate { .. } => "data-rate",
        RegionError::TooWide { .. } | RegionError::WiderThanAllowed { .. } => "data-rate",
        RegionError::TooMuchPower { .. } | RegionError::TooMuchConducted { .. } => "eirp-dbm",
        RegionError::UnknownSubBand { .. } | RegionError::MustListen { .. } => "sub-band",
        _ => "frequency-hz",
    }
}

fn way_out(error: &RegionError) -> &'static str {
    match error {
        RegionError::MustListen { .. } => {
            "; if the forwarder listens (an SX1302 does with an SX1261), set radio.listen-before-talk = true"
        }
        _ => "",
    }
}
