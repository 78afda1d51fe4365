//! Where a service is: its host in each partition of AWS, with FIPS and dual stack, and the host of a bucket.

use std::net::IpAddr;

/// A service of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    IotWireless,
    Iot,
    Signer,
    Sts,
    S3,
}

impl Service {
    /// Its name in the scope of a signature.
    pub(super) fn signing_name(self) -> &'static str {
        match self {
            Service::IotWireless => "iotwireless",
            Service::Iot => "iot",
            Service::Signer => "signer",
            Service::Sts => "sts",
            Service::S3 => "s3",
        }
    }

    /// Its id, from which the names of its settings are made: `AWS_ENDPOINT_URL_IOT_WIRELESS`, and `iot_wireless` in
    /// a profile. With the underscore of AWS's documents: their reader would turn a space into a hyphen.
    pub(super) fn id(self) -> &'static str {
        match self {
            Service::IotWireless => "iot_wireless",
            Service::Iot => "IoT",
            Service::Signer => "signer",
            Service::Sts => "STS",
            Service::S3 => "S3",
        }
    }

    /// The first labels of its host, before `-fips`.
    fn prefix(self) -> &'static str {
        match self {
            Service::IotWireless => "api.iotwireless",
            other => other.signing_name(),
        }
    }
}

/// Which kind of host is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Variant {
    /// `AWS_USE_FIPS_ENDPOINT`.
    pub fips: bool,
    /// `AWS_USE_DUALSTACK_ENDPOINT`: hosts with IPv6.
    pub dual_stack: bool,
}

/// A part of AWS with domains and accounts of its own.
#[derive(Debug, PartialEq, Eq)]
struct Partition {
    name: &'static str,
    /// What the names of its regions begin with.
    regions: &'static [&'static str],
    suffix: &'static str,
    dual_stack_suffix: &'static str,
}

const AWS: &[&str] = &["us-", "eu-", "ap-", "sa-", "ca-", "me-", "af-", "il-", "mx-"];

/// The first one that fits is meant: `us-gov-` begins with `us-`, too.
const PARTITIONS: &[Partition] = &[
    partition("aws-cn", &["cn-"], "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    partition("aws-us-gov", &["us-gov-"], "amazonaws.com", "api.aws"),
    partition("aws-iso-b", &["us-isob-"], "sc2s.sgov.gov", "api.aws.scloud"),
    partition("aws-iso-f", &["us-isof-"], "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    partition("aws-iso-e", &["eu-isoe-"], "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    partition("aws-iso", &["us-iso-"], "c2s.ic.gov", "api.aws.ic.gov"),
    partition("aws-eusc", &["eusc-"], "amazonaws.eu", "api.amazonwebservices.eu"),
    partition("aws", AWS, "amazonaws.com", "api.aws"),
];

const fn partition(
    name: &'static str,
    regions: &'static [&'static str],
    suffix: &'static str,
    dual_stack_suffix: &'static str,
) -> Partition {
    Partition { name, regions, suffix, dual_stack_suffix }
}

/// Why there is no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EndpointError {
    #[error(
        "no partition of AWS has a region {0:?}; correct aws.region, or name the host in AWS_ENDPOINT_URL"
    )]
    Region(String),
    #[error(
        "AWS_ENDPOINT_URL is {0:?}, which is no address; write http:// or https://, a host and perhaps a port"
    )]
    Address(String),
    #[error(
        "AWS_USE_FIPS_ENDPOINT or AWS_USE_DUALSTACK_ENDPOINT is set beside an address of our own ({0:?}), of which nobody knows that it is either; unset one of the two"
    )]
    VariantOfAddress(String),
    #[error("{0}; correct AWS_USE_FIPS_ENDPOINT or AWS_USE_DUALSTACK_ENDPOINT, which are true or false")]
    Variant(String),
}

/// The partition of `region`. The region becomes part of a host name.
fn partition_of(region: &str) -> Result<&'static Partition, EndpointError> {
    let is_name = region.len() <= 32
        && region.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && region.ends_with(|c: char| c.is_ascii_digit());
    let is_in = |partition: &&Partition| partition.regions.iter().any(|begin| region.starts_with(begin));
    let found = PARTITIONS.iter().find(is_in).filter(|_| is_name);
    found.ok_or_else(|| EndpointError::Region(region.chars().take(64).collect()))
}

/// The address of `service` in `region`.
///
/// # Errors
/// The region is in no partition, or the partition has no such host.
pub(super) fn endpoint(service: Service, region: &str, variant: Variant) -> Result<String, EndpointError> {
    let partition = partition_of(region)?;
    let prefix = service.prefix();
    let Variant { fips, dual_stack } = variant;
    if service == Service::S3 && fips && partition.name == "aws-cn" {
        return Err(EndpointError::Variant("S3 has no FIPS hosts in aws-cn".to_owned()));
    }
    let suffix = match service {
        // S3 tells the two apart by a label of its own.
        Service::S3 => partition.suffix,
        _ if dual_stack => partition.dual_stack_suffix,
        _ => partition.suffix,
    };
    // In GovCloud the plain host of STS is the one that is validated.
    let is_plain = service == Service::Sts && !dual_stack && partition.name == "aws-us-gov";
    let fips = if fips && !is_plain { "-fips" } else { "" };
    let label = if service == Service::S3 && dual_stack { ".dualstack" } else { "" };
    Ok(format!("https://{prefix}{fips}{label}.{region}.{suffix}"))
}

/// The address of a bucket at the address of S3, and what stands before the key in the path: the bucket is part of the
/// host where it can be, as AWS wishes, and of the path where it cannot.
pub(super) fn bucket_endpoint(s3: &str, bucket: &str, is_path_style: bool) -> (String, String) {
    let Some((scheme, rest)) = s3.split_once("://") else { return (s3.to_owned(), format!("/{bucket}")) };
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    let is_address = rest.starts_with('[') || host.parse::<IpAddr>().is_ok();
    // A certificate is for one label before the host.
    let may_have_dots = scheme == "http";
    if is_path_style || is_address || !is_host_label(bucket, may_have_dots) {
        return (s3.to_owned(), format!("/{bucket}"));
    }
    (format!("{scheme}://{bucket}.{rest}"), String::new())
}

/// Whether `bucket` may stand in a host name.
fn is_host_label(bucket: &str, may_have_dots: bool) -> bool {
    let is_label = |label: &str| {
        let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty() && label.chars().all(is_inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_long_enough = (3..=63).contains(&bucket.len());
    let labels_fit = if may_have_dots { bucket.split('.').all(is_label) } else { is_label(bucket) };
    is_long_enough && labels_fit && bucket.parse::<IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Variant = Variant { fips: false, dual_stack: false };
    const FIPS: Variant = Variant { fips: true, dual_stack: false };
    const DUAL: Variant = Variant { fips: false, dual_stack: true };
    const BOTH: Variant = Variant { fips: true, dual_stack: true };

    #[test]
    fn each_partition_has_its_hosts() {
        use Service::*;
        for (service, region, variant, host) in [
            (IotWireless, "eu-west-1", PLAIN, "api.iotwireless.eu-west-1.amazonaws.com"),
            (IotWireless, "us-east-1", FIPS, "api.iotwireless-fips.us-east-1.amazonaws.com"),
            (IotWireless, "us-east-1", DUAL, "api.iotwireless.us-east-1.api.aws"),
            (IotWireless, "us-east-1", BOTH, "api.iotwireless-fips.us-east-1.api.aws"),
            (IotWireless, "cn-north-1", PLAIN, "api.iotwireless.cn-north-1.amazonaws.com.cn"),
            (Iot, "eu-central-1", PLAIN, "iot.eu-central-1.amazonaws.com"),
            (Iot, "us-gov-west-1", FIPS, "iot-fips.us-gov-west-1.amazonaws.com"),
            (Iot, "cn-northwest-1", DUAL, "iot.cn-northwest-1.api.amazonwebservices.com.cn"),
            (Signer, "us-west-2", FIPS, "signer-fips.us-west-2.amazonaws.com"),
            (Signer, "cn-north-1", PLAIN, "signer.cn-north-1.amazonaws.com.cn"),
            (Sts, "us-east-1", PLAIN, "sts.us-east-1.amazonaws.com"),
            (Sts, "us-gov-east-1", FIPS, "sts.us-gov-east-1.amazonaws.com"),
            (Sts, "us-gov-east-1", BOTH, "sts-fips.us-gov-east-1.api.aws"),
            (Sts, "us-west-2", FIPS, "sts-fips.us-west-2.amazonaws.com"),
            (Sts, "cn-north-1", PLAIN, "sts.cn-north-1.amazonaws.com.cn"),
            (S3, "us-gov-west-1", FIPS, "s3-fips.us-gov-west-1.amazonaws.com"),
            (S3, "us-west-2", BOTH, "s3-fips.dualstack.us-west-2.amazonaws.com"),
            (S3, "cn-north-1", DUAL, "s3.dualstack.cn-north-1.amazonaws.com.cn"),
            (S3, "us-iso-east-1", PLAIN, "s3.us-iso-east-1.c2s.ic.gov"),
            (Sts, "eusc-de-east-1", PLAIN, "sts.eusc-de-east-1.amazonaws.eu"),
        ] {
            assert_eq!(
                endpoint(service, region, variant),
                Ok(format!("https://{host}")),
                "{region} {variant:?}"
            );
        }
        let refused = endpoint(S3, "cn-north-1", FIPS).unwrap_err().to_string();
        assert!(refused.contains("S3 has no FIPS hosts in aws-cn"), "{refused}");
    }

    #[test]
    fn a_region_of_no_partition_is_named_with_the_way_out() {
        for region in [
            "",
            "xx-nowhere-1",
            "eu",
            "eu-west-1.evil.example",
            "eu-west-1/",
            "EU-WEST-1",
            "us-east-1@evil-1",
        ] {
            let refused = endpoint(Service::Iot, region, PLAIN).unwrap_err();
            assert_eq!(refused, EndpointError::Region(region.to_owned()));
            assert!(refused.to_string().contains("correct aws.region"), "{refused}");
        }
    }

    #[test]
    fn a_bucket_is_part_of_the_host_where_it_can_be() {
        let of = |s3: &str, bucket: &str, is_path_style| {
            let (host, prefix) = bucket_endpoint(s3, bucket, is_path_style);
            format!("{host}{prefix}")
        };
        let aws = "https://s3.eu-west-1.amazonaws.com";
        assert_eq!(of(aws, "fw-bucket", false), "https://fw-bucket.s3.eu-west-1.amazonaws.com");
        assert_eq!(of(aws, "fw-bucket", true), "https://s3.eu-west-1.amazonaws.com/fw-bucket");
        // A certificate is for one label; a capital or an underscore is in no host name.
        for bucket in
            ["fw.bucket", "Fw-bucket", "fw_bucket", "ab", "-fw", "fw-", "192.168.5.4", &"x".repeat(64)]
        {
            assert_eq!(of(aws, bucket, false), format!("{aws}/{bucket}"));
        }
        assert_eq!(of("http://s3.lan:9000", "fw.bucket", false), "http://fw.bucket.s3.lan:9000");
        for address in ["http://127.0.0.1:9000", "http://[::1]:9000", "https://10.0.0.1"] {
            assert_eq!(of(address, "fw-bucket", false), format!("{address}/fw-bucket"));
        }
    }
}
