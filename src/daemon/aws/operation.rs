//! The operations of AWS that are used: one table. Each is one signed request.

use aws_smithy_http::label;
use aws_smithy_http::query;

use super::endpoint::Service;

/// An operation: what a policy calls it, whose it is and its path, in which `{}` stands for what is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Operation {
    pub action: &'static str,
    pub service: Service,
    method: &'static str,
    path: &'static str,
}

const fn get(action: &'static str, service: Service, path: &'static str) -> Operation {
    Operation { action, service, method: "GET", path }
}

const WIRELESS: Service = Service::IotWireless;

// IoT Wireless, 2020-11-22.
pub(super) const GET_FUOTA_TASK: Operation = get("iotwireless:GetFuotaTask", WIRELESS, "/fuota-tasks/{}");
pub(super) const LIST_FUOTA_TASKS: Operation = get("iotwireless:ListFuotaTasks", WIRELESS, "/fuota-tasks");
pub(super) const LIST_GROUPS_OF_TASK: Operation =
    get("iotwireless:ListMulticastGroupsByFuotaTask", WIRELESS, "/fuota-tasks/{}/multicast-groups");
pub(super) const GET_GROUP: Operation =
    get("iotwireless:GetMulticastGroup", WIRELESS, "/multicast-groups/{}");
pub(super) const GET_SESSION: Operation =
    get("iotwireless:GetMulticastGroupSession", WIRELESS, "/multicast-groups/{}/session");
pub(super) const GET_GATEWAY: Operation =
    get("iotwireless:GetWirelessGateway", WIRELESS, "/wireless-gateways/{}");
// IoT, 2015-05-28.
pub(super) const GET_OTA_UPDATE: Operation = get("iot:GetOTAUpdate", Service::Iot, "/otaUpdates/{}");
pub(super) const DESCRIBE_STREAM: Operation = get("iot:DescribeStream", Service::Iot, "/streams/{}");
pub(super) const GET_JOB_DOCUMENT: Operation =
    get("iot:GetJobDocument", Service::Iot, "/jobs/{}/job-document");
// Signer, 2017-08-25.
pub(super) const DESCRIBE_SIGNING_JOB: Operation =
    get("signer:DescribeSigningJob", Service::Signer, "/signing-jobs/{}");
// STS, 2011-06-15: forms, and answers in XML.
pub(super) const GET_CALLER_IDENTITY: Operation =
    Operation { method: "POST", ..get("sts:GetCallerIdentity", Service::Sts, "/") };
pub(super) const ASSUME_TASK_ROLE: Operation =
    Operation { method: "POST", ..get("sts:AssumeRole of FirmwareUpdateRole", Service::Sts, "/") };
pub(super) const ASSUME_PROFILE_ROLE: Operation =
    Operation { method: "POST", ..get("sts:AssumeRole of the profile", Service::Sts, "/") };
pub(super) const ASSUME_BY_TOKEN: Operation =
    Operation { method: "POST", ..get("sts:AssumeRoleWithWebIdentity of the profile", Service::Sts, "/") };
// S3, 2006-03-01; the path is the key.
pub(super) const HEAD_OBJECT: Operation =
    Operation { method: "HEAD", ..get("s3:GetObject (HEAD)", Service::S3, "") };
pub(super) const GET_OBJECT: Operation = get("s3:GetObject", Service::S3, "");

/// One call of an operation.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub operation: &'static Operation,
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    /// The form of a POST.
    pub form: String,
    /// The region that is asked, where it is not the configured one.
    pub region: Option<String>,
    /// The bucket of an object.
    pub bucket: Option<String>,
    query: String,
}

impl Call {
    /// `operation` for what is called `id`.
    pub(super) fn of(operation: &'static Operation, id: &str) -> Call {
        let id = label::fmt_string(id, label::EncodingStrategy::Default);
        Call::at(operation, operation.path.replace("{}", &id))
    }

    /// `operation` for an object.
    pub(super) fn of_object(operation: &'static Operation, bucket: &str, key: &str) -> Call {
        // A slash in a key is one in the path, wherever it stands.
        let path = format!("/{}", label::fmt_string(key, label::EncodingStrategy::Greedy));
        Call { bucket: Some(bucket.to_owned()), ..Call::at(operation, path) }
    }

    /// `operation` for a form with these fields.
    pub(super) fn of_form(operation: &'static Operation, fields: &[(&str, &str)]) -> Call {
        let fields = fields.iter().map(|(name, value)| format!("{name}={}", query::fmt_string(value)));
        let form = fields.collect::<Vec<_>>().join("&");
        let headers = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
        Call { form, headers, ..Call::at(operation, operation.path.to_owned()) }
    }

    fn at(operation: &'static Operation, path: String) -> Call {
        let (headers, form, query) = (Vec::new(), String::new(), String::new());
        Call { operation, path, headers, form, region: None, bucket: None, query }
    }

    /// With `name=value` in the query, if there is a value.
    pub(super) fn with_query(mut self, name: &str, value: Option<&str>) -> Call {
        if let Some(value) = value {
            let begin = if self.query.is_empty() { '?' } else { '&' };
            self.query += &format!("{begin}{name}={}", query::fmt_string(value));
        }
        self
    }

    /// With a header, if there is a value for it.
    pub(super) fn with_header(mut self, name: &'static str, value: Option<&str>) -> Call {
        self.headers.extend(value.map(|value| (name, value.to_owned())));
        self
    }

    /// In another region, if there is one.
    pub(super) fn in_region(self, region: Option<&str>) -> Call {
        Call { region: region.map(str::to_owned), ..self }
    }

    pub(super) fn method(&self) -> &'static str {
        self.operation.method
    }

    /// Path and query behind `prefix`.
    pub(super) fn target(&self, prefix: &str) -> String {
        format!("{prefix}{}{}", self.path, self.query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_segment_of_the_path_and_a_key_is_all_of_them() {
        let call = Call::of(&GET_SESSION, "a b/c+d");
        assert_eq!(call.target(""), "/multicast-groups/a%20b%2Fc%2Bd/session");
        let call =
            Call::of_object(&GET_OBJECT, "b", "/a//b c/../+é=%41?x#y.").with_query("versionId", Some("v+/="));
        assert_eq!(call.target("/b"), "/b//a//b%20c/../%2B%C3%A9%3D%2541%3Fx%23y.?versionId=v%2B%2F%3D");
        let call =
            Call::of(&LIST_FUOTA_TASKS, "").with_query("maxResults", Some("1")).with_query("nextToken", None);
        assert_eq!(call.target(""), "/fuota-tasks?maxResults=1");
        let call = Call::of_form(&GET_CALLER_IDENTITY, &[("Action", "A"), ("RoleArn", "arn:a/b c")]);
        assert_eq!(
            (call.form.as_str(), call.target("")),
            ("Action=A&RoleArn=arn%3Aa%2Fb%20c", "/".to_owned())
        );
    }
}
