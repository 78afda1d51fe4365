//! Look-up of a region by its name, and of its table.

use crate::region::as923::AS923_1;
use crate::region::as923::AS923_2;
use crate::region::as923::AS923_3;
use crate::region::as923::AS923_4;
use crate::region::au915::AU915;
use crate::region::cn470;
use crate::region::cn470::CN470;
use crate::region::cn779::CN779;
use crate::region::error::RegionError;
use crate::region::error::list;
use crate::region::error::quoted;
use crate::region::eu433::EU433;
use crate::region::eu868::EU868;
use crate::region::in865::IN865;
use crate::region::kr920::KR920;
use crate::region::parameters::Parameters;
use crate::region::rf_region::RfRegion;
use crate::region::ru864::RU864;
use crate::region::us915::US915;
use core::fmt;
use core::str::FromStr;

/// A remark for the operator about a name that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// `AS923` was taken as `AS923-1`.
    As923TakenAsAs923_1,
    /// CN470 has several channel plans, and each has another RX2.
    Cn470HasPlans,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::As923TakenAsAs923_1 => f.write_str(
                "region AS923 is taken as AS923-1; write AS923-1, -2, -3 or -4: their frequencies differ",
            ),
            Note::Cn470HasPlans => f.write_str(cn470::RX2_BY_PLAN),
        }
    }
}

impl RfRegion {
    /// The region with this name, in any case. `AS923`, which AWS sends to gateways, means AS923-1 with a [`Note`].
    ///
    /// # Errors
    /// [`RegionError::UnknownRegion`] for every other text.
    pub fn parse_with_note(name: &str) -> Result<(RfRegion, Option<Note>), RegionError> {
        if name.eq_ignore_ascii_case("AS923") {
            return Ok((RfRegion::As923_1, Some(Note::As923TakenAsAs923_1)));
        }
        Self::ALL
            .into_iter()
            .find(|region| region.name().eq_ignore_ascii_case(name))
            .map(|region| (region, (region == RfRegion::Cn470).then_some(Note::Cn470HasPlans)))
            .ok_or_else(|| RegionError::UnknownRegion { name: quoted(name), known: list(Self::ALL.iter()) })
    }
}

/// Reads a name as [`RfRegion::parse_with_note`] does, without the note.
impl FromStr for RfRegion {
    type Err = RegionError;

    fn from_str(name: &str) -> Result<Self, RegionError> {
        Self::parse_with_note(name).map(|(region, _)| region)
    }
}

/// The table of a region in force.
///
/// # Errors
/// [`RegionError::Withdrawn`] with the reason, when the region is withdrawn.
pub fn parameters(region: RfRegion) -> Result<&'static Parameters, RegionError> {
    let parameters = parameters_even_withdrawn(region);
    match parameters.withdrawn {
        Some(reason) => Err(RegionError::Withdrawn { region, reason }),
        None => Ok(parameters),
    }
}

/// Where the region is not known nothing is broadcast, and what others send is under no limit that we could name.
static UNKNOWN: Parameters = Parameters { rp_name: "unknown", sub_bands: &[], ..EU868 };

/// A table without limits and without sub-bands: for whoever passes on traffic in a region that nobody named.
pub fn unknown_law() -> &'static Parameters {
    &UNKNOWN
}

/// The table of any region, for an operator who insists on one that is withdrawn.
pub fn parameters_even_withdrawn(region: RfRegion) -> &'static Parameters {
    match region {
        RfRegion::Eu868 => &EU868,
        RfRegion::Us915 => &US915,
        RfRegion::Au915 => &AU915,
        RfRegion::As923_1 => &AS923_1,
        RfRegion::As923_2 => &AS923_2,
        RfRegion::As923_3 => &AS923_3,
        RfRegion::As923_4 => &AS923_4,
        RfRegion::Eu433 => &EU433,
        RfRegion::Cn470 => &CN470,
        RfRegion::Cn779 => &CN779,
        RfRegion::Ru864 => &RU864,
        RfRegion::Kr920 => &KR920,
        RfRegion::In865 => &IN865,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_known_by_its_name_in_any_case() {
        for region in RfRegion::ALL {
            assert_eq!(region.to_string().parse(), Ok(region));
            let (parsed, note) = RfRegion::parse_with_note(&region.name().to_lowercase()).unwrap();
            assert_eq!((parsed, note.is_some()), (region, region == RfRegion::Cn470));
        }
    }

    #[test]
    fn as923_is_taken_as_group_1_and_says_so() {
        let (region, note) = RfRegion::parse_with_note("as923").unwrap();
        assert_eq!(region, RfRegion::As923_1);
        assert!(note.unwrap().to_string().contains("AS923-1"));
        assert_eq!("AS923".parse(), Ok(RfRegion::As923_1));
    }

    #[test]
    fn an_unknown_region_is_refused_with_the_names_there_are() {
        for name in ["", "EU", "EU867", "EU868 ", "EU-868", "AS923-5", "AS923_1", "EU863-870", "ISM2400"] {
            let error = name.parse::<RfRegion>().unwrap_err();
            let RegionError::UnknownRegion { name: quoted, known } = &error else { panic!("{error:?}") };
            assert_eq!(quoted, name);
            assert_eq!(known.split(", ").count(), 13);
        }
        let long = "é".repeat(4000).parse::<RfRegion>().unwrap_err();
        assert!(long.to_string().len() < 300);
    }

    #[test]
    fn every_region_has_its_own_table() {
        for region in RfRegion::ALL {
            assert_eq!(parameters_even_withdrawn(region).region, region);
        }
    }

    #[test]
    fn a_withdrawn_region_is_refused_with_the_date() {
        for region in RfRegion::ALL {
            assert_eq!(parameters(region).is_err(), region == RfRegion::Cn779);
        }
        let message = parameters(RfRegion::Cn779).unwrap_err().to_string();
        assert!(message.starts_with("region CN779 is withdrawn: "), "{message}");
        assert!(message.contains("after 2021-01-01 (RP002-1.0.3"), "{message}");
    }
}
