%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_map_options).
-moduledoc """
The options of a map: checked once, complete afterwards.
""".

-export([check/2, accepts/2, verdict/2]).
-export_type([given/0, options/0, verdict/0]).

-type validator() :: fun((Value :: term()) -> boolean()) | {module(), Function :: atom()}.
%% What somebody may give to barrel_p2p_map:new/2.
-type given() :: #{validator => validator(), tombstone_ttl_ms => non_neg_integer(), scan_ms => pos_integer(), prune_on_peer_down => boolean(),
                   persist => boolean()}.
-type options() :: #{validator := none | validator(), tombstone_ttl_ms := non_neg_integer(), scan_ms := pos_integer(),
                     prune_on_peer_down := boolean(), persist := boolean()}.

%% failed: the validator raised, which may be about the value, or because something that it needs does not run.
-type verdict() :: yes | no | failed.

%% The longest name: what is made of it has to be an atom, and at most 255 bytes for the native store.
-define(MAX_NAME_BYTES, 232).

%% A map can have any atom for a name that is not too long. Unknown options are ignored, as they always were.
-spec check(Name :: term(), Given :: term()) -> {ok, options()} | {error, invalid_map_name | {invalid_option, atom()}}.
check(Name, Given) when is_atom(Name), is_map(Given) ->
    case byte_size(atom_to_binary(Name)) =< ?MAX_NAME_BYTES of
        true -> complete(Given);
        false -> {error, invalid_map_name}
    end;
check(_, _) ->
    {error, invalid_map_name}.

%% Only `true` is a yes; a validator that fails says no.
-spec accepts(Value :: term(), options()) -> boolean().
accepts(Value, Options) ->
    verdict(Value, Options) =:= yes.

-spec verdict(Value :: term(), options()) -> verdict().
verdict(_Value, #{validator := none}) ->
    yes;
verdict(Value, #{validator := Validator}) ->
    try asked(Validator, Value) of
        true -> yes;
        _ -> no
    catch
        _:_ -> failed
    end.

-spec asked(validator(), term()) -> term().
asked({Module, Function}, Value) -> Module:Function(Value);
asked(Fun, Value) -> Fun(Value).

-spec complete(map()) -> {ok, options()} | {error, {invalid_option, atom()}}.
complete(Given) ->
    Options = maps:merge(#{validator => none, prune_on_peer_down => false, persist => false,
                           tombstone_ttl_ms => barrel_p2p_config:get(barrel_p2p_map_tombstone_ttl_ms),
                           scan_ms => barrel_p2p_config:get(barrel_p2p_map_scan_ms)},
                         maps:with([validator, tombstone_ttl_ms, scan_ms, prune_on_peer_down, persist], Given)),
    case [Key || {Key, Value} <- lists:sort(maps:to_list(Options)), not is_valid(Key, Value)] of
        [] -> {ok, Options};
        [Key | _] -> {error, {invalid_option, Key}}
    end.

-spec is_valid(atom(), term()) -> boolean().
is_valid(validator, none) -> true;
is_valid(validator, {Module, Function}) -> is_atom(Module) andalso is_atom(Function);
is_valid(validator, Validator) -> is_function(Validator, 1);
is_valid(tombstone_ttl_ms, Ms) -> is_integer(Ms) andalso Ms >= 0;
is_valid(scan_ms, Ms) -> is_integer(Ms) andalso Ms > 0;
is_valid(_, Value) -> is_boolean(Value).
