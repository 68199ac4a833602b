//! The generated subset of TiKV's protos.

macro_rules! package {
    ($name:ident, $package:literal) => {
        #[allow(missing_docs, unreachable_pub, reason = "generated")]
        #[allow(clippy::all, reason = "generated")]
        pub(crate) mod $name {
            tonic::include_proto!($package);
        }
    };
}

package!(errorpb, "errorpb");
package!(keyspacepb, "keyspacepb");
package!(kvrpcpb, "kvrpcpb");
package!(metapb, "metapb");
package!(pdpb, "pdpb");
package!(tikvpb, "tikvpb");
