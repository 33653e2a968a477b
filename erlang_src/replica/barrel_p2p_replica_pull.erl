%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_replica_pull).
-moduledoc """
What a replica fetches: the snapshots of other nodes, one at a time and each in pieces.

The next piece is asked for when the last one is here, so at most one is on its way whatever the size of the snapshot, and a piece that was lost is
asked for again. A node that does not answer costs a few seconds and nothing else. What a node answers is checked in every detail; memory
follows the bytes that came, never a size that somebody claimed. Leaves to others: what the bytes mean.
""".

-export([new/1, want/2, take/3, timeout/2, is_idle/1]).
-export_type([pull/0]).

-record(fetch, {from :: node(),
                ref :: reference(),
                timer :: reference(),
                total = unknown :: unknown | non_neg_integer(),
                got = 0 :: non_neg_integer(),
                pieces = [] :: [binary()],
                unanswered = 0 :: non_neg_integer(),
                waited = 0 :: non_neg_integer()}).
-record(pull, {tag :: term(), next = [] :: [node()], fetch = none :: none | #fetch{}}).

-opaque pull() :: #pull{}.

-define(ANSWER_MS, 2_000).
-define(MAX_UNANSWERED, 3).
%% A snapshot that takes longer than this to make is not waited for.
-define(MAX_WAITED, 30).
-define(MAX_BYTES, 16#40000000).

%% Tag is what the direct messages of the instance are sent under.
-spec new(Tag :: term()) -> pull().
new(Tag) ->
    #pull{tag = Tag}.

-spec is_idle(pull()) -> boolean().
is_idle(#pull{fetch = Fetch}) ->
    Fetch =:= none.

%% Fetches the snapshot of the node, after those that are wanted already.
-spec want(node(), pull()) -> pull().
want(Node, #pull{fetch = #fetch{from = Node}} = Pull) ->
    Pull;
want(Node, #pull{next = Next} = Pull) ->
    started(Pull#pull{next = (Next -- [Node]) ++ [Node]}).

%% An answer, whoever it came from. `snapshot`: the whole is there.
-spec take(node(), Answer :: term(), pull()) -> {{snapshot, node(), binary()} | none | malformed, pull()}.
take(From, {Kind, Ref}, #pull{fetch = #fetch{from = From, ref = Ref} = Fetch} = Pull) when Kind =:= wait; Kind =:= gone; Kind =:= failed ->
    {none, put_off(Kind, Fetch, Pull)};
take(From, {piece, Ref, Offset, Total, Bytes}, #pull{fetch = #fetch{from = From, ref = Ref, got = Offset} = Fetch} = Pull) ->
    case is_next(Total, Bytes, Fetch) of
        true -> added(Total, Bytes, Fetch, Pull);
        false -> {malformed, given_up(Fetch, Pull)}
    end;
take(_From, {piece, Ref, _Offset, _Total, _Bytes}, Pull) when is_reference(Ref) ->
    {none, Pull};
take(_From, {Kind, Ref}, Pull) when is_reference(Ref), Kind =:= wait orelse Kind =:= gone orelse Kind =:= failed ->
    {none, Pull};
take(_From, _Answer, Pull) ->
    {malformed, Pull}.

%% Nothing came for a while.
-spec timeout(Timer :: reference(), pull()) -> pull().
timeout(Timer, #pull{fetch = #fetch{timer = Timer, unanswered = ?MAX_UNANSWERED} = Fetch} = Pull) ->
    given_up(Fetch, Pull);
timeout(Timer, #pull{fetch = #fetch{timer = Timer, unanswered = Unanswered} = Fetch} = Pull) ->
    ask(Fetch#fetch{unanswered = Unanswered + 1}, Pull);
timeout(_Timer, Pull) ->
    Pull.

%% wait: it is being made. gone: the other side does not know what we talk about, so it has started again, and so do we.
-spec put_off(wait | gone | failed, #fetch{}, pull()) -> pull().
put_off(wait, #fetch{waited = Waited} = Fetch, Pull) when Waited < ?MAX_WAITED ->
    Pull#pull{fetch = Fetch#fetch{unanswered = 0, waited = Waited + 1}};
put_off(gone, #fetch{from = From, got = Got} = Fetch, Pull) when Got > 0 ->
    given_up(Fetch, Pull#pull{next = Pull#pull.next ++ [From]});
put_off(_, Fetch, Pull) ->
    given_up(Fetch, Pull).

-spec is_next(term(), term(), #fetch{}) -> boolean().
is_next(Total, Bytes, #fetch{total = Known, got = Got}) ->
    is_integer(Total) andalso Total >= 0 andalso Total =< ?MAX_BYTES andalso (Known =:= unknown orelse Known =:= Total)
        andalso is_binary(Bytes) andalso Got + byte_size(Bytes) =< Total andalso (Bytes =/= <<>> orelse Total =:= 0).

-spec added(non_neg_integer(), binary(), #fetch{}, pull()) -> {{snapshot, node(), binary()} | none, pull()}.
added(Total, Bytes, #fetch{got = Got, pieces = Pieces, from = From, ref = Ref} = Fetch, Pull) ->
    case Fetch#fetch{total = Total, got = Got + byte_size(Bytes), pieces = [Bytes | Pieces], unanswered = 0} of
        #fetch{got = Total, pieces = All} = Done ->
            send(From, {done, Ref}, Pull),
            {{snapshot, From, iolist_to_binary(lists:reverse(All))}, given_up(Done, Pull)};
        More ->
            {none, ask(More, Pull)}
    end.

%% Goes on with the next node.
-spec given_up(#fetch{}, pull()) -> pull().
given_up(#fetch{timer = Timer}, Pull) ->
    _ = erlang:cancel_timer(Timer),
    started(Pull#pull{fetch = none}).

-spec started(pull()) -> pull().
started(#pull{fetch = none, next = [From | Next]} = Pull) ->
    ask(#fetch{from = From, ref = make_ref(), timer = make_ref()}, Pull#pull{next = Next});
started(Pull) ->
    Pull.

-spec ask(#fetch{}, pull()) -> pull().
ask(#fetch{from = From, ref = Ref, got = Got, timer = Timer} = Fetch, Pull) ->
    _ = erlang:cancel_timer(Timer),
    send(From, {pull, Ref, Got}, Pull),
    Pull#pull{fetch = Fetch#fetch{timer = erlang:start_timer(?ANSWER_MS, self(), pull)}}.

%% What cannot be sent is as good as lost on the way.
-spec send(node(), term(), pull()) -> ok.
send(Node, Message, #pull{tag = Tag}) ->
    _ = barrel_p2p_direct:send(Node, Tag, Message),
    ok.
