%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_reason).
-moduledoc """
Why something failed: the closed set of reason atoms, each with its words.

A reason is one atom everywhere: in `{error, {Reason, Detail}}` from the native core, in `barrel_p2p:last_error/1`, in log reports, and, for
refusals, as the name of the QUIC close code. The texts stand here and nowhere else: what is wrong, then what to do about it.
""".

-export([text/1, codes/0]).
-export_type([refusal/0, failure/0, membership/0, start/0, disk/0, log/0, code/0]).

%% Sent to the peer as a close code.
-type refusal() :: shutdown | idle | duplicate | superseded | halted | protocol_error | unsupported_version | invalid_name | bad_signature
                 | wrong_cookie | unknown_key | key_mismatch | name_mismatch | auth_mismatch | config_mismatch | hello_timeout
                 | hello_too_large | overloaded | stale_incarnation | internal_error | unknown_close_code.
%% Found out on this side alone.
-type failure() :: refused | unreachable | dial_timeout | link_timeout | no_address | connection_closed | stopped.
%% Why a join failed, beside the two above, or why a node takes no part in a cluster.
-type membership() :: cannot_join_self | not_distributed | timeout | busy | no_name | already_started | invalid_option.
%% Keeps the node from starting.
-type start() :: invalid_config | nif_load_failed | not_started | port_in_use | port_forbidden | bind_failed | thread_failed.
%% The same, or an operation on files that was not done.
-type disk() :: key_pair_mismatch | key_file_corrupt | key_file_incomplete | key_write_failed | pin_file_corrupt | pin_write_failed
              | certificate_corrupt | certificate_failed | certificate_write_failed | backup_failed | dir_unwritable | file_unreadable
              | file_write_failed | random_failed.
%% Why the files of a store or log cannot be used.
-type log() :: disk_full | read_only | permission | no_directory | too_many_files | in_use | already_open | newer_files | io.
-type code() :: refusal() | failure() | membership() | start() | disk() | log().
-type words() :: [1..255, ...].
-type row() :: {code(), Problem :: words(), Advice :: words()}.

%% What is wrong and what to do; an atom that is not in the set still gets a readable answer.
-spec text(atom()) -> {Problem :: nonempty_string(), Advice :: words()}.
text(Code) ->
    case lists:keyfind(Code, 1, table()) of
        {Code, Problem, Advice} -> {Problem, Advice};
        false -> {"unexpected failure " ++ atom_to_list(Code), "please report it together with the log of both nodes"}
    end.

-spec codes() -> [code()].
codes() ->
    [Code || {Code, _, _} <- table()].

-spec table() -> [row(), ...].
table() ->
    refusals() ++ failures() ++ membership() ++ start() ++ disk() ++ log().

-spec refusals() -> [{refusal(), words(), words()}, ...].
refusals() ->
    [{shutdown, "the peer stops its distribution", "connect again when it is back"},
     {idle, "nothing used the link any more", "nothing to do, the next message opens a new one"},
     {duplicate, "both nodes dialled at once and the other link was kept", "nothing to do"},
     {superseded, "the peer restarted and its new link replaced this one", "nothing to do"},
     {halted, "the peer's virtual machine halted", "look into its log, and connect again when it is back"},
     {protocol_error, "what arrived is not the protocol of barrel_p2p", "check that the address belongs to a barrel_p2p node"},
     {unsupported_version, "the nodes speak different protocol versions", "upgrade barrel_p2p on the older one"},
     {invalid_name, "the node name is not valid", "use name@host with letters, digits, _ and - in the name, 255 bytes at most"},
     {bad_signature, "the peer could not prove that it owns its key", "check that the connection is not relayed, and the peer's key files"},
     {wrong_cookie, "the nodes have different cookies", "give both the same -setcookie or dist_cookie"},
     {unknown_key, "the key is not pinned and the trust mode is strict",
      "compare the fingerprint, then store the key with barrel_p2p_dist_keys:store_key/2"},
     {key_mismatch, "the key is not the one that is pinned for this name",
      "if the change was meant, call barrel_p2p_dist_keys:delete_key/1 on the node that holds the old pin; otherwise treat it as an attack"},
     {name_mismatch, "the node that answered has another name than the one dialled",
      "correct its address in discovery_nodes or DNS, or remove its stale endpoint file"},
     {auth_mismatch, "only one of the nodes has auth_enabled", "set auth_enabled to the same value on both"},
     {config_mismatch, "the nodes differ in a value that must be equal in the whole cluster", "compare their configurations"},
     {hello_timeout, "the peer did not identify itself in time", "check the load of both nodes, or raise auth_handshake_timeout"},
     {hello_too_large, "the peer's identification is larger than allowed", "check that the address belongs to a barrel_p2p node"},
     {overloaded, "too many unidentified peers connect at the same time", "try again; if it lasts, look for the source of the connections"},
     {stale_incarnation, "a newer run of the same node name is already connected", "stop one of the two nodes that share the name"},
     {internal_error, "the side that refused failed by itself", "look into its log"},
     {unknown_close_code, "the peer closed with a code that this version does not know", "upgrade barrel_p2p on this node"}].

-spec failures() -> [{failure(), words(), words()}, ...].
failures() ->
    [{refused, "nothing listens at the address", "start the node, or correct its address"},
     {unreachable, "the network does not reach the address", "check routes and host name"},
     {dial_timeout, "no answer in time", "check address, port and firewalls for UDP"},
     {link_timeout, "the peer fell silent", "check that it runs, and the network between the nodes"},
     {no_address, "no discovery backend knows an address", "check discovery_backends, discovery_nodes and discovery_dir"},
     {connection_closed, "the peer closed the connection in an orderly way", "connect again"},
     {stopped, "the distribution of this node was stopped", "start it with net_kernel:start/2"}].

-spec membership() -> [{membership(), words(), words()}, ...].
membership() ->
    [{cannot_join_self, "the node to join is this node", "name another one"},
     {not_distributed, "this node has no distribution that listens over barrel_p2p", "start it with a name and -proto_dist barrel_p2p"},
     {timeout, "the node was reached but let nobody in within the time given", "try again, or join through another node"},
     {busy, "too much waits to be done", "try again later"},
     {no_name, "this node has no name yet", "start it with a fixed name"},
     {already_started, "gossip runs already", "please report it"},
     {invalid_option, "an option has a value that the native core does not take", "correct the configuration"}].

-spec start() -> [{start(), words(), words()}, ...].
start() ->
    [{invalid_config, "the configuration is wrong", "correct it"},
     {nif_load_failed, "the native library cannot be loaded",
      "build it on this kind of machine with rebar3 compile, and ship priv/ with the release"},
     {not_started, "the distribution over barrel_p2p is not started", "start the node with -proto_dist barrel_p2p and a name"},
     {port_in_use, "the UDP port is in use", "stop the other process, or choose another with -barrel_p2p_dist_port or listen_port"},
     {port_forbidden, "the UDP port is not allowed to this user", "choose one above 1023 with -barrel_p2p_dist_port or listen_port"},
     {bind_failed, "the UDP socket cannot be opened", "check listen_port and the limits of the system"},
     {thread_failed, "the thread for input and output cannot be started", "check the limits of the system on threads and files"}].

-spec disk() -> [{disk(), words(), words()}, ...].
disk() ->
    [{key_pair_mismatch, "node.key and node.pub do not belong together", "restore both from one backup, or remove both to get a new identity"},
     {key_file_corrupt, "a key file does not hold 32 bytes", "restore it from a backup, or remove node.key and node.pub to get a new identity"},
     {key_file_incomplete, "only one of node.key and node.pub is there", "restore the other from a backup, or remove it to get a new identity"},
     {key_write_failed, "a key cannot be written", "check permissions and free space"},
     {pin_file_corrupt, "a pinned key does not hold 32 bytes", "restore the file, or remove it to forget that pin"},
     {pin_write_failed, "a pinned key cannot be written or removed", "check permissions and free space"},
     {certificate_corrupt, "the TLS certificate or its key cannot be used", "restore node.crt and node.key from one backup, or remove both"},
     {certificate_failed, "the TLS certificate cannot be made", "please report it"},
     {certificate_write_failed, "the TLS certificate cannot be written", "check permissions and free space"},
     {backup_failed, "the old files cannot be copied, so nothing was changed", "check permissions and free space"},
     {dir_unwritable, "a directory cannot be made or written", "create it and give it to the user who runs the node"},
     {file_unreadable, "a file cannot be read", "give it to the user who runs the node"},
     {file_write_failed, "a file cannot be written or removed", "check permissions and free space"},
     {random_failed, "the system gave no random bytes", "check that /dev/urandom is there"}].

-spec log() -> [{log(), words(), words()}, ...].
log() ->
    [{disk_full, "the disk is full", "make room; what waits is written by itself then"},
     {read_only, "the disk can only be read", "mount it for writing, or choose another directory"},
     {permission, "the files are not for the user who runs the node", "give them to that user"},
     {no_directory, "the directory cannot be made", "create it and give it to the user who runs the node"},
     {too_many_files, "no more files can be opened", "raise the limit of the system on open files"},
     {in_use, "something else has the files open", "close it, or give this one another name or directory"},
     {already_open, "it is open already, with files elsewhere or without", "delete it first"},
     {newer_files, "the files were written by a newer version", "upgrade barrel_p2p on this node"},
     {io, "the disk reports an error", "look into the log of the system"}].
