%% SPDX-License-Identifier: Apache-2.0
%% Records that the documented API returns, and nothing else.

%% One pinned key, from barrel_p2p_dist_keys:list_trusted/0. Tests of applications rely on the order of the fields.
-record(peer_key, {
    node :: node(),
    fingerprint :: binary(),                %% SHA-256 of the public key
    public_key :: binary(),
    added_at :: non_neg_integer(),          %% milliseconds since the epoch
    last_seen :: undefined,                 %% kept for its place; sightings are not written to disk
    trust_level :: permanent | tofu
}).

%% One registration of a service, from barrel_p2p:lookup/1. Tests of applications rely on the order of the fields.
-record(service_entry, {
    name :: term(),
    pid :: pid(),
    node :: node(),                         %% where it was registered, which is not always where the process runs
    meta = #{} :: map()
}).
