//! The thirteen regions, by the names of the AWS API.

use core::fmt;

/// A region, `LoRaWAN.RfRegion` of the AWS IoT Wireless API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RfRegion {
    /// EU863-870: Europe, 863-870 MHz.
    Eu868,
    /// US902-928: North America, 902-928 MHz.
    Us915,
    /// AU915-928: Australia and South America, 915-928 MHz.
    Au915,
    /// AS923-1: Asia, group 1: Japan and others.
    As923_1,
    /// AS923-2: Asia, group 2: Vietnam, Indonesia.
    As923_2,
    /// AS923-3: Asia, group 3: the Philippines, Cuba and others.
    As923_3,
    /// AS923-4: Asia, group 4: Israel.
    As923_4,
    /// EU433: Europe, 433 MHz.
    Eu433,
    /// CN470-510: China, 470-510 MHz.
    Cn470,
    /// CN779-787: China, 779-787 MHz, withdrawn.
    Cn779,
    /// RU864-870: Russia, 864-870 MHz.
    Ru864,
    /// KR920-923: Korea, 920-923 MHz.
    Kr920,
    /// IN865-867: India, 865-867 MHz.
    In865,
}

impl RfRegion {
    /// All thirteen regions, in the order of the API.
    pub const ALL: [RfRegion; 13] = [
        RfRegion::Eu868,
        RfRegion::Us915,
        RfRegion::Au915,
        RfRegion::As923_1,
        RfRegion::As923_2,
        RfRegion::As923_3,
        RfRegion::As923_4,
        RfRegion::Eu433,
        RfRegion::Cn470,
        RfRegion::Cn779,
        RfRegion::Ru864,
        RfRegion::Kr920,
        RfRegion::In865,
    ];

    /// Name of the region in the API.
    pub const fn name(self) -> &'static str {
        match self {
            RfRegion::Eu868 => "EU868",
            RfRegion::Us915 => "US915",
            RfRegion::Au915 => "AU915",
            RfRegion::As923_1 => "AS923-1",
            RfRegion::As923_2 => "AS923-2",
            RfRegion::As923_3 => "AS923-3",
            RfRegion::As923_4 => "AS923-4",
            RfRegion::Eu433 => "EU433",
            RfRegion::Cn470 => "CN470",
            RfRegion::Cn779 => "CN779",
            RfRegion::Ru864 => "RU864",
            RfRegion::Kr920 => "KR920",
            RfRegion::In865 => "IN865",
        }
    }
}

impl fmt::Display for RfRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
