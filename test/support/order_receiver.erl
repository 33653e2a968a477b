%% SPDX-License-Identifier: Apache-2.0
-module(order_receiver).
-moduledoc """
A process that has one sender after the other on the other node, and checks what it gets from each. See `order_flood`.

Everything is taken in the order of the mailbox, so what comes too early is seen as that.
""".

-export([run/1]).

%% seen: the last number. request: of the spawn. awaited: what must still come before this life is over, by the reference that it will have.
-record(life, {options :: map(), plan :: order_sender:plan(), request :: reference(), sender :: pid() | unknown, seen = 0 :: non_neg_integer(),
               acks = 0 :: non_neg_integer(), checked = 0 :: non_neg_integer(), awaited = #{} :: #{reference() | link => atom()}}).

%% Nothing for so long: it will not come any more.
-define(PATIENCE_MS, 60_000).
-define(ACK_EVERY, 32).
%% Lives are short and long; of those that move bulk, only short.
-define(DOUBLINGS, 12).
-define(DOUBLINGS_OF_BULKY, 5).

%% One in so many processes exits with a large reason.
-define(LARGE_REASON_ONE_IN, 8).

-spec run(map()) -> order_flood:result().
run(#{index := Index, seed := Seed, signals := Signals} = Options) ->
    process_flag(trap_exit, true),
    _ = rand:seed(exsss, {Seed, erlang:phash2(node()), Index}),
    true = register(name(order_receiver, Index), self()),
    try lives(Signals, 0, Options) catch throw:Bad -> Bad end.

lives(Signals, Checked, _Options) when Checked >= Signals, Signals =/= infinity ->
    {ok, Checked};
lives(Signals, Checked, Options) ->
    receive
        stop -> {ok, Checked}
    after 0 ->
        lives(Signals, Checked + life(Options), Options)
    end.

name(What, Index) ->
    list_to_atom(lists:concat([What, "_", Index])).

life(#{index := Index, node := Node} = Options) ->
    Alias = alias(),
    Plan = plan(Index, Alias, Options),
    Styles = {[], [link, monitor], [link], [monitor]},
    Style = element(rand:uniform(tuple_size(Styles)), Styles),
    Request = spawn_request(Node, order_sender, life, [Plan], [{reply_tag, spawned} | Style]),
    Awaited = maps:from_list([{link, link} || link <- Style] ++ [{Request, down} || monitor <- Style]),
    Checked = next(#life{options = Options, plan = Plan, request = Request, sender = unknown, awaited = Awaited}),
    true = unalias(Alias),
    Checked.

plan(Index, Alias, #{bulky := Bulky, large_reasons := Large}) ->
    #{receiver => self(), name => {name(order_receiver, Index), node()}, alias => Alias, own_name => name(order_sender, Index),
      seed => {rand:uniform(1 bsl 32), rand:uniform(1 bsl 32), Index}, count => rand:uniform(1 bsl rand:uniform(doublings(Bulky))),
      bulky => Bulky, call => rand:uniform(2) =:= 1, large_reason => Large andalso rand:uniform(?LARGE_REASON_ONE_IN) =:= 1}.

doublings(true) -> ?DOUBLINGS_OF_BULKY;
doublings(false) -> ?DOUBLINGS.

next(#life{request = Request, sender = Sender} = Life) ->
    receive
        {spawned, Request, ok, Pid} when Sender =:= unknown -> next(checked(Life#life{sender = Pid}));
        {spawned, Request, error, Reason} -> lost({not_spawned, Reason}, Life);
        {signal, Sender, Number, Form, Data} -> act(Form, numbered(Number, Form, Data, Life));
        {'EXIT', Sender, {signal, Sender, Number, Form, none}} -> next(numbered(Number, Form, none, Life));
        {'EXIT', Sender, Reason} -> ended(link, Reason, Life);
        {'DOWN', Ref, process, _, Reason} -> ended(Ref, Reason, Life);
        %% Stopping is for between two lives.
        Other when Other =/= stop -> inversion(spawn_reply, first, Other, Life)
    after ?PATIENCE_MS ->
        lost({nothing_for_ms, ?PATIENCE_MS}, Life)
    end.

%% Acknowledged after it was checked: the sender then changes what there was to check.
numbered(Number, leader, Leader, #life{seen = Seen} = Life) when Number =:= Seen + 1 ->
    case group_leader() of
        Leader -> numbered(Number, led, none, checked(Life));
        Other -> inversion(leader, Leader, Other, Life)
    end;
numbered(Number, Form, _, #life{seen = Seen, sender = Sender, acks = Acks} = Life) when Number =:= Seen + 1 ->
    case Number rem ?ACK_EVERY =:= 0 orelse Form =:= bulk orelse Form =:= led of
        true -> Sender ! {ack, Acks + 1, Number}, checked(Life#life{seen = Number, acks = Acks + 1});
        false -> checked(Life#life{seen = Number})
    end;
numbered(Number, Form, _, #life{seen = Seen} = Life) ->
    inversion(Form, Seen + 1, Number, Life).

checked(#life{checked = Checked} = Life) ->
    Life#life{checked = Checked + 1}.

%% From now on the sender can be watched in every way; it waits for the word to go on.
act(registered, #life{sender = Sender, plan = Plan, options = #{node := Node}, awaited = Awaited} = Life) ->
    Linked = links(rand:uniform(3) > 1, Sender, Awaited),
    Dropped = monitor(process, Sender),
    true = demonitor(Dropped),
    ByPid = monitor(process, Sender),
    ByName = monitor(process, {maps:get(own_name, Plan), Node}),
    Sender ! go,
    next(Life#life{awaited = Linked#{ByPid => down, ByName => down_of_name}});
act(call, #life{sender = Sender, seen = Seen, plan = Plan, options = #{node := Node}} = Life) ->
    Address = element(rand:uniform(2), {Sender, {maps:get(own_name, Plan), Node}}),
    try gen_server:call(Address, finish, ?PATIENCE_MS) of
        {last, Seen} -> next(checked(Life));
        Other -> inversion(reply, {last, Seen}, Other, Life)
    catch
        exit:{timeout, _} -> lost({no_reply_for_ms, ?PATIENCE_MS}, Life);
        exit:{Down, _} -> inversion(reply, {last, Seen}, Down, Life)
    end;
act(_, Life) ->
    next(Life).

%% After unlink no exit may come. The two do not follow each other for one life: with OTP 25 the exit of a link that was made again right
%% after an unlink is lost now and then, over any carrier.
links(true, Sender, Awaited) ->
    true = link(Sender),
    Awaited#{link => link};
links(false, Sender, Awaited) ->
    true = unlink(Sender),
    maps:remove(link, Awaited).

%% One of the ends of the sender: there, and behind all that the sender said before.
ended(_, {inversion, Report}, Life) ->
    throw({inversion, maps:merge(context(Life), Report)});
ended(_, noconnection, Life) ->
    lost(noconnection, Life);
ended(What, {last, Seen, _}, #life{seen = Seen, awaited = Awaited} = Life) when is_map_key(What, Awaited) ->
    case maps:remove(What, Awaited) of
        Left when map_size(Left) =:= 0 -> (checked(Life))#life.checked;
        Left -> next(checked(Life#life{awaited = Left}))
    end;
ended(What, {last, Last, _}, #life{awaited = Awaited} = Life) ->
    inversion(maps:get(What, Awaited, unexpected_end), Last, Life#life.seen, Life);
ended(What, Reason, #life{awaited = Awaited} = Life) ->
    inversion(maps:get(What, Awaited, unexpected_end), last, Reason, Life).

-spec inversion(atom(), term(), term(), #life{}) -> no_return().
inversion(Form, Expected, Seen, Life) ->
    throw({inversion, (context(Life))#{form => Form, expected => Expected, seen => Seen}}).

-spec lost(term(), #life{}) -> no_return().
lost(Why, #life{seen = Seen, awaited = Awaited} = Life) ->
    throw({lost, (context(Life))#{why => Why, seen => Seen, awaited => maps:values(Awaited)}}).

context(#life{options = #{seed := Seed}, plan = #{name := Receiver, own_name := Sender}, sender = Pid}) ->
    #{seed => Seed, receiver => Receiver, sender => {Sender, Pid}}.
