%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_store).
-moduledoc """
Replicated stores as the rest of the library sees them: keys, values and origins as terms, one owner process per store.

A store is a last-writer-wins map that lives in the native core and is kept equal on all nodes that have opened one of its name. Only its owner,
the process that called `open/2`, writes to it. Changes of other nodes are staged: the owner is told `{barrel_p2p_store, Store, staged}` once, takes
them in bounded batches with `pull/1`, decides, and merges them with `commit/2` until `pull/1` says `last`. So local writes and changes
of others happen in the owner's own order, and its mailbox never fills.

A persistent store acknowledges writes: what was answered with a number is on the disk once `{barrel_p2p_store, Store, {synced, Seq}}` with at
least this number has come. Number 0 needs no waiting. `{barrel_p2p_store, Store, {failed, Reason}}` tells that what waits cannot be written
now; it is kept and tried again until `{synced, Seq}` comes.

Keys and values travel in the external term format. Bytes that no `key/1` or `value/1` has made are malformed: `pull/1` names their
keys, and the owner rejects them like anything else it does not want.
""".

-export([open/2, close/1, delete/1, key/1, value/1, put/3, restore/3, remove/2, prune/3, pull/1, commit/2, get/2, scan/2, info/1]).
-export([stamp/2, next_stamp/1, stage_ormap/2, to_ormap/1]).
-export_type([store/0, options/0, change/0, content/0, cursor/0, seq/0, refusal/0, stamp/0, ormap/0]).

-type store() :: barrel_p2p_nif:store().
%% persist: the directory of the files, made when missing (default: none).
-type options() :: #{tombstone_ttl_ms := non_neg_integer(), persist => none | file:name_all()}.
-type content() :: {value, Value :: term(), Origin :: node()} | removed.
-type change() :: {KeyBytes :: binary(), Key :: term(), content()}.
-type cursor() :: start | barrel_p2p_nif:store_cursor().
-type seq() :: non_neg_integer().
-type stamp() :: barrel_p2p_nif:stamp().
%% Nothing was written. busy: wait for the next {synced, _} and try again. closed: by close/1, or another process owns it.
-type refusal() :: {error, busy | closed}.
-type timestamp() :: {timestamp, WallMs :: non_neg_integer(), Logical :: non_neg_integer()}.
-type ormap() :: #{Key :: term() => {value, term(), #{{node(), timestamp()} => true}} | {tombstone, timestamp()}}.

-define(EXTERNAL_TERM, 131).
-define(COMPRESSED, 80).
-define(BEGINNING, <<>>).
%% Entries given to the native core in one call, and bytes of them (or one entry).
-define(AT_ONCE, 256).
-define(BYTES_AT_ONCE, 65_536).
%% Stamps are one integer of 64 bits on the wire: 44 for the time, 20 for the order within a millisecond.
-define(MAX_WALL_MS, 16#fffffffffff).
-define(MAX_LOGICAL, 16#fffff).

%% Opens a store and makes the caller its owner. A store of that name that is open already is taken over with its content, and a persistent
%% one is read from its files: scan/2 then shows what there is, and nothing of that is staged.
-spec open(Name :: atom(), options()) -> {ok, store()} | barrel_p2p_native:error().
open(Name, Options) ->
    case barrel_p2p_native:load() of
        ok -> barrel_p2p_nif:store_open(atom_to_binary(Name), self(), Options#{persist => persist(Options)});
        {error, _} = Error -> Error
    end.

%% Ends the part of this node in the store. A persistent one stays on the disk, with everything that was written.
-spec close(store()) -> ok.
close(Store) ->
    barrel_p2p_nif:store_close(Store).

%% Closes the store and deletes its files. Other nodes keep theirs.
-spec delete(store()) -> ok | barrel_p2p_native:error().
delete(Store) ->
    barrel_p2p_nif:store_delete(Store).

%% The one encoding of a key: the same on every node and every OTP release.
-spec key(term()) -> binary().
key(Term) ->
    term_to_binary(Term, [deterministic, {minor_version, 2}]).

%% For the caller of the owner, so that the owner does not do it for everybody.
-spec value(term()) -> binary().
value(Term) ->
    term_to_binary(Term, [{minor_version, 2}]).

-spec put(store(), KeyBytes :: binary(), ValueBytes :: binary()) -> {ok, seq()} | refusal() | {error, too_large}.
put(Store, KeyBytes, ValueBytes) ->
    barrel_p2p_nif:store_put(Store, KeyBytes, ValueBytes, node()).

%% Puts a value of this node back in the place of what prune/3 has left on another node. Its stamp is the next one, so whatever was written later
%% stands.
-spec restore(store(), KeyBytes :: binary(), ValueBytes :: binary()) -> {ok, seq()} | refusal() | {error, too_large}.
restore(Store, KeyBytes, ValueBytes) ->
    barrel_p2p_nif:store_restore(Store, KeyBytes, ValueBytes, node()).

%% Leaves a tombstone, also for a key that is not there: somebody else may have it.
-spec remove(store(), KeyBytes :: binary()) -> {ok, seq()} | refusal() | {error, too_large}.
remove(Store, KeyBytes) ->
    barrel_p2p_nif:store_remove(Store, KeyBytes).

%% Removes every value that Node has written before that time of day. Each node that does this comes to the same entries, so nobody has to tell
%% anybody. When too much waits for the disk only some are removed, if any: it is done when none is.
-spec prune(store(), node(), BeforeMs :: non_neg_integer() | infinity) -> {ok, seq(), Removed :: [KeyBytes :: binary()]} | refusal().
prune(Store, Node, infinity) ->
    prune(Store, Node, ?MAX_WALL_MS);
prune(Store, Node, BeforeMs) ->
    prune(Store, Node, BeforeMs, ?BEGINNING, 0, []).

%% The next changes of others in no particular order, each key once. Until commit/2 it gives the same changes again. After `more` there are
%% others to be had by the next call after commit/2; after `last` a message tells when there are.
-spec pull(store()) -> {[change()], Malformed :: [KeyBytes :: binary()], more | last}.
pull(Store) ->
    {Entries, Rest} = barrel_p2p_nif:store_pull(Store),
    {Changes, Malformed} = lists:foldr(fun sort/2, {[], []}, Entries),
    {Changes, Malformed, Rest}.

%% Merges what pull/1 gave, except for the rejected keys (the malformed ones among them): those versions are remembered and not offered again.
-spec commit(store(), Rejected :: [KeyBytes :: binary()]) -> {ok, seq()} | refusal().
commit(Store, Rejected) ->
    barrel_p2p_nif:store_commit(Store, Rejected).

-spec get(store(), KeyBytes :: binary()) -> content() | none.
get(Store, KeyBytes) ->
    case barrel_p2p_nif:store_get(Store, KeyBytes) of
        none -> none;
        Entry ->
            case change(Entry) of
                {ok, {_, _, Content}} -> Content;
                malformed -> none
            end
    end.

%% When the value or the removal that is in force was written.
-spec stamp(store(), KeyBytes :: binary()) -> {ok, stamp()} | none.
stamp(Store, KeyBytes) ->
    case barrel_p2p_nif:store_get(Store, KeyBytes) of
        none -> none;
        {_, _, _, Stamp} -> {ok, Stamp}
    end.

%% The one that a value removed by prune/3 gets in its place.
-spec next_stamp(stamp()) -> stamp().
next_stamp({Wall, ?MAX_LOGICAL}) -> {Wall + 1, 0};
next_stamp({Wall, Logical}) -> {Wall, Logical + 1}.

%% A part of what the store holds, tombstones included. What changes while somebody goes through it may be shown before or after the change.
-spec scan(store(), cursor()) -> {[change()], cursor() | done}.
scan(Store, Cursor) ->
    {Entries, Next} = barrel_p2p_nif:store_scan(Store, place(Cursor)),
    {[Change || Entry <- Entries, {ok, Change} <- [change(Entry)]], Next}.

%% Counts and sizes.
-spec info(store()) -> map().
info(Store) ->
    barrel_p2p_nif:store_info(Store).

%% Takes entries in the documented shape as if a node had sent them: the owner hears `staged` if any of them is news. The shape is to be
%% checked before, by barrel_p2p_crdt_wire; what is larger than an entry can be, or comes from no node, counts as rejected in info/1. `busy`: some
%% had no room; all may be given again.
-spec stage_ormap(store(), ormap()) -> ok | busy | closed.
stage_ormap(Store, OrMap) ->
    stage(Store, lists:append([entry(Key, Entry) || {Key, Entry} <- maps:to_list(OrMap)])).

%% The whole content in the documented shape, each value with the one dot that won.
-spec to_ormap(store()) -> ormap().
to_ormap(Store) ->
    to_ormap(Store, ?BEGINNING, #{}).

-spec stage(store(), [barrel_p2p_nif:store_entry()]) -> ok | busy | closed.
stage(_Store, []) ->
    ok;
stage(Store, Entries) ->
    {Some, Rest} = lists:split(at_once(Entries, 0, 0), Entries),
    case barrel_p2p_nif:store_stage(Store, Some) of
        ok -> stage(Store, Rest);
        Refused -> Refused
    end.

-spec at_once([barrel_p2p_nif:store_entry()], non_neg_integer(), non_neg_integer()) -> pos_integer().
at_once([Entry | Rest], Count, Bytes) when Count =:= 0; Count < ?AT_ONCE, Bytes < ?BYTES_AT_ONCE ->
    at_once(Rest, Count + 1, Bytes + size_of(Entry));
at_once(_, Count, _) ->
    Count.

-spec size_of(barrel_p2p_nif:store_entry()) -> non_neg_integer().
size_of({Key, removed, _, _}) -> byte_size(Key);
size_of({Key, Value, _, _}) -> byte_size(Key) + byte_size(Value).

-spec persist(options()) -> none | binary().
persist(#{persist := Dir}) when Dir =/= none -> filename:absname(unicode:characters_to_binary(Dir));
persist(_) -> none.

-spec place(cursor()) -> barrel_p2p_nif:store_cursor().
place(start) -> ?BEGINNING;
place(Cursor) -> Cursor.

-spec prune(store(), node(), non_neg_integer(), barrel_p2p_nif:store_cursor(), seq(), [[binary()]]) -> {ok, seq(), [binary()]} | refusal().
prune(Store, Node, BeforeMs, Cursor, Seq, Removed) ->
    case barrel_p2p_nif:store_prune(Store, Node, BeforeMs, Cursor) of
        {ok, Last, Keys, done} -> {ok, max(Seq, Last), lists:append([Keys | Removed])};
        {ok, Last, Keys, Next} -> prune(Store, Node, BeforeMs, Next, max(Seq, Last), [Keys | Removed]);
        {error, _} = Error ->
            case lists:append(Removed) of
                [] -> Error;
                Keys -> {ok, Seq, Keys}
            end
    end.

-spec sort(barrel_p2p_nif:store_entry(), {[change()], [binary()]}) -> {[change()], [binary()]}.
sort({KeyBytes, _, _, _} = Entry, {Changes, Malformed}) ->
    case change(Entry) of
        {ok, Change} -> {[Change | Changes], Malformed};
        malformed -> {Changes, [KeyBytes | Malformed]}
    end.

-spec change(barrel_p2p_nif:store_entry()) -> {ok, change()} | malformed.
change({KeyBytes, ValueBytes, Origin, _}) ->
    case {decode_key(KeyBytes), decode_content(ValueBytes, Origin)} of
        {{ok, Key}, {ok, Content}} -> {ok, {KeyBytes, Key, Content}};
        _ -> malformed
    end.

%% Two encodings of one term would be two entries.
-spec decode_key(binary()) -> {ok, term()} | malformed.
decode_key(Bytes) ->
    case decode(Bytes) of
        {ok, Key} ->
            case key(Key) of
                Bytes -> {ok, Key};
                _ -> malformed
            end;
        malformed -> malformed
    end.

-spec decode_content(binary() | removed, node() | undefined) -> {ok, content()} | malformed.
decode_content(removed, _) ->
    {ok, removed};
decode_content(Bytes, Origin) ->
    case decode(Bytes) of
        {ok, Value} -> {ok, {value, Value, Origin}};
        malformed -> malformed
    end.

%% The bytes come from members, who may make atoms, but not a term that is larger than what they sent.
-spec decode(binary()) -> {ok, term()} | malformed.
decode(<<?EXTERNAL_TERM, ?COMPRESSED, _/binary>>) ->
    malformed;
decode(Bytes) ->
    try binary_to_term(Bytes, [used]) of
        {Term, Used} when Used =:= byte_size(Bytes) -> {ok, Term};
        _ -> malformed
    catch
        error:badarg -> malformed
    end.

%% An entry whose stamp no clock can show is dropped.
-spec entry(term(), {value, term(), map()} | {tombstone, timestamp()}) -> [barrel_p2p_nif:store_entry()].
entry(Key, {tombstone, Stamp}) ->
    [{key(Key), removed, undefined, Parts} || Parts <- parts(Stamp)];
entry(Key, {value, Value, Dots}) ->
    {Stamp, Node} = lists:max([{Stamp, Node} || {Node, Stamp} <- maps:keys(Dots)]),
    [{key(Key), value(Value), Node, Parts} || Parts <- parts(Stamp)].

-spec parts(timestamp()) -> [barrel_p2p_nif:stamp()].
parts({timestamp, Wall, Logical}) when is_integer(Wall), Wall >= 0, Wall =< ?MAX_WALL_MS,
                                       is_integer(Logical), Logical >= 0, Logical =< ?MAX_LOGICAL ->
    [{Wall, Logical}];
parts(_) ->
    [].

-spec to_ormap(store(), barrel_p2p_nif:store_cursor(), ormap()) -> ormap().
to_ormap(Store, Cursor, OrMap) ->
    {Entries, Next} = barrel_p2p_nif:store_scan(Store, Cursor),
    Larger = lists:foldl(fun add/2, OrMap, Entries),
    case Next of
        done -> Larger;
        _ -> to_ormap(Store, Next, Larger)
    end.

-spec add(barrel_p2p_nif:store_entry(), ormap()) -> ormap().
add({_, _, _, {Wall, Logical}} = Entry, OrMap) ->
    Stamp = {timestamp, Wall, Logical},
    case change(Entry) of
        {ok, {_, Key, {value, Value, Origin}}} -> OrMap#{Key => {value, Value, #{{Origin, Stamp} => true}}};
        {ok, {_, Key, removed}} -> OrMap#{Key => {tombstone, Stamp}};
        malformed -> OrMap
    end.
