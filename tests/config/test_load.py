"""Profiles: everything a user can mistype ends in one line."""

import re
from pathlib import Path

import pytest

from mzpipe.config import Profile, SearchConfig, load_profile, parse_profile
from mzpipe.errors import ConfigError, ExitCode
from mzpipe.runs.directory import save_profile

PROFILES = sorted((Path(__file__).parents[2] / "profiles").glob("*.toml"))
STOP = "stop.env_steps=1"


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_shipped_profile_loads(path):
    assert isinstance(load_profile(path), Profile)


def test_there_are_shipped_profiles():
    names = {
        "cartpole",
        "cartpole-reanalyze",
        "lunarlander",
        "atari-pong-cpu",
        "atari100k",
        "atari100k-v2",
        "atari-200m",
    }
    assert {path.stem for path in PROFILES} >= names


def test_defaults_hold_where_the_profile_says_nothing():
    profile = parse_profile("seed = 5\n[learner]\nbatch_size = 7\n", [STOP])
    assert (profile.seed, profile.learner.batch_size) == (5, 7)
    assert profile.search == SearchConfig()


def test_overrides_win_over_the_file_and_later_ones_over_earlier():
    profile = parse_profile("[learner]\nbatch_size = 7\n", [STOP, "learner.batch_size=8", "learner.batch_size = 9"])
    assert profile.learner.batch_size == 9


def test_overrides_take_every_kind_of_value():
    profile = parse_profile(
        "",
        [STOP, "game.name=Pong", "learner.devices=[0]", "learner.learning_rate=1", "game.atari.grayscale=false"],
    )
    assert profile.game.name == "Pong"
    assert profile.learner.devices == (0,)
    assert profile.learner.learning_rate == 1.0
    assert profile.game.atari.grayscale is False


def test_save_and_load_give_the_same_profile(tmp_path):
    profile = parse_profile("", ["stop.minutes=3", "learner.devices=[0]", "game.atari.noop_max=0", "seed=9"])
    save_profile(profile, tmp_path / "p.toml")
    assert load_profile(tmp_path / "p.toml") == profile


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("learner.batch_sise=3", r"learner.batch_sise: unknown field; did you mean learner.batch_size\?"),
        ("leaner.batch_size=3", r"leaner: unknown section; did you mean learner\?"),
        ("sed=3", r"sed: unknown field; did you mean seed\?"),
        ("game.atari.frameskip=3", r"game.atari.frameskip: unknown field; did you mean game.atari.frame_skip\?"),
        ("zzz=3", "zzz: unknown field; known here: seed, game, "),
        ("learner=3", "learner=3: this is a section, set one of its fields: devices, "),
        ("seed.x=3", "seed={'x': 3}"),
        ("learner.batch_size=2.5", "learner.batch_size=2.5: input should be a valid integer"),
        ("learner.batch_size=true", "learner.batch_size=True: input should be a valid integer"),
        ("learner.batch_size=0", "learner.batch_size=0: input should be greater than or equal to 1"),
        ("game.atari.sticky_actions=1.5", "game.atari.sticky_actions=1.5: input should be less than or equal to 1"),
        ("learner.learning_rate=nan", "learner.learning_rate=nan: input should be a finite number"),
        ("learner.optimizer=adamm", "learner.optimizer='adamm': input should be 'adam', 'adamw' or 'sgd'"),
        ("learner.loss_scale=none", "learner.loss_scale='none': input should be 'steps' or 'all'"),
        (
            "learner.consistency_steps=one",
            "learner.consistency_steps='one': network.consistency=false has no consistency loss: leave it out, or set",
        ),
        ("learner.augment_shift=17", "learner.augment_shift=17: input should be less than or equal to 16"),
        (
            "learner.augment_shift=4",
            "learner.augment_shift=4: network.kind='mlp' with network.downsample='atari' is not for images: leave it o",
        ),
        (
            "learner.augment_intensity=0.05",
            "learner.augment_intensity=0.05: network.kind='mlp' with network.downsample='atari' is not for images: lea",
        ),
        ("search.num_simulations=5000", "search.num_simulations=5000: input should be less than or equal to 2000"),
        ("search.min_q_spread=0", "search.min_q_spread=0: input should be greater than or equal to 0.00000001"),
        ("search.min_q_spread=1e7", "search.min_q_spread=10000000.0: input should be less than or equal to 1000000"),
        ("search.unvisited_q=worst", "search.unvisited_q='worst': input should be 'zero' or 'mean'"),
        ("learner.batch_size", "write it as section.field=value"),
        (".batch_size=3", "write it as section.field=value"),
        ("a.b.c.d.e.f.g.h.i.j=3", "9 dots, at most 8"),
        (
            "actor.full_search_fraction=0.5",
            "actor.fast_simulations=0 makes every search a full one: leave it out, or s",
        ),
        ("actor.resign_below=0.1", "actor.resign_below=0.1: input should be less than or equal to 0"),
        (
            "actor.resign_moves=2",
            "actor.resign_moves=2: actor.resign_below is not set, so none resigns: leave it out, or",
        ),
        (
            "actor.never_resign_fraction=0.5",
            "actor.resign_below is not set, so none resigns: leave it out, or set both",
        ),
        ("actor.temperatures=[1.0]", "actor.temperatures has 1 values and actor.temperature_fractions 3"),
        ("actor.temperature_fractions=[0.1,0.2,0.3]", "must start at 0.0 and never fall"),
        ("actor.temperature_fractions=[0.0,0.9,0.3]", "must start at 0.0 and never fall"),
        ("replay.max_insert_lead=1", "would wait for each other for ever: set it to at least 34"),
        ("learner.devices=[]", r"learner.devices=\[\]: name at least one device"),
        ("inference.devices=['cuda']", "inference.devices: 'cuda' is not 'auto', 'cpu' or a CUDA index"),
        ("learner.devices=['auto',1]", "'auto' must be alone: name every device"),
        ("learner.devices=['cpu',0]", r"learner.devices=\['cpu', 0\]: ranks on CPUs and ranks on GPUs cannot exchange"),
        ("learner.devices=[0,1,2]", r"learner.batch_size=128: 3 ranks \(learner.devices\) take equal parts"),
    ],
)
def test_load_refuses_in_one_line(override, text):
    with pytest.raises(ConfigError, match=text) as caught:
        parse_profile("", [STOP, override])
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE


def test_load_refuses_a_rule_for_unvisited_actions_that_gumbel_does_not_use():
    fields = ["search.policy=gumbel", "search.unvisited_q=mean"]
    with pytest.raises(
        ConfigError, match=r"unvisited_q='mean': .*'gumbel' has a rule of its own .* leave it out"
    ) as caught:
        parse_profile("", [STOP, *fields])
    assert "\n" not in str(caught.value)
    assert parse_profile("", [STOP, fields[0], "search.unvisited_q=zero"]).search.unvisited_q == "zero"


def test_load_refuses_a_run_without_an_end():
    with pytest.raises(ConfigError, match="stop: no limit is set, the run would never end"):
        parse_profile("")


def test_load_names_the_line_when_the_file_is_no_toml(tmp_path):
    (tmp_path / "bad.toml").write_text("[learner\n")
    with pytest.raises(ConfigError, match=r"bad.toml: not valid TOML: .*line 1"):
        load_profile(tmp_path / "bad.toml")


def test_load_names_the_nearest_profile_when_one_is_missing(tmp_path):
    (tmp_path / "cartpole.toml").touch()
    with pytest.raises(ConfigError, match=r"cartpol.toml: no such profile; did you mean cartpole.toml\?"):
        load_profile(tmp_path / "cartpol.toml")


def test_load_refuses_a_large_file_and_a_dotted_key_and_a_directory(tmp_path):
    (tmp_path / "large.toml").write_text("#" * 70_000)
    with pytest.raises(ConfigError, match=r"large\.toml: 70000 bytes, at most 65536: not a profile"):
        load_profile(tmp_path / "large.toml")
    (tmp_path / "dots.toml").write_text("seed = 1\na.b.c.d.e.f.g.h.i.j = 1\n")
    with pytest.raises(ConfigError, match="line 2: a key has 9 dots, at most 8"):
        load_profile(tmp_path / "dots.toml")
    with pytest.raises(ConfigError, match="a directory, where a file should be: not a profile"):
        load_profile(tmp_path)


def test_profile_cannot_be_changed_after_it_was_checked():
    profile = parse_profile("", [STOP])
    with pytest.raises(AttributeError):
        profile.seed = 3


def test_replay_from_is_written_and_read_under_its_own_name(tmp_path):
    profile = parse_profile("[stop]\nlearner_steps = 9\n", ["replay.from=runs/first", "reanalyze.fraction=1.0"])
    assert profile.replay.source == "runs/first"
    save_profile(profile, tmp_path / "profile.toml")
    assert 'from = "runs/first"' in (tmp_path / "profile.toml").read_text()
    assert load_profile(tmp_path / "profile.toml") == profile


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        (
            ["replay.from=runs/a"],
            r"replay.from='runs/a': without actors nothing but reanalyze .* set reanalyze.fraction",
        ),
        (
            ["replay.from=runs/a", "reanalyze.fraction=1.0", "stop.env_steps=9"],
            r"replay.from: no game is played, so set stop.learner_steps or stop.minutes",
        ),
        (["reanalyze.fraction=1.5"], r"reanalyze.fraction=1.5: input should be less than or equal to 1"),
        (["replay.priority_alpha=0.0"], r"replay.priority_alpha=0.0: input should be greater than 0"),
        (["replay.priority_beta=[0.4, 2.0]"], r"replay.priority_beta"),
        (["replay.sampler=best"], r"replay.sampler='best': input should be 'prioritized' or 'uniform'"),
        (["replay.initial_priority=new"], r"replay.initial_priority='new': input should be 'error' or 'max'"),
        (["replay.min_importance_weight=2.0"], r"replay.min_importance_weight=2.0: input should be less than or equal"),
        (
            ["replay.sampler=uniform", "replay.initial_priority=max"],
            r"replay.initial_priority='max': replay.sampler='uniform' has no priorities: leave it out, or set replay.s",
        ),
        (
            ["replay.sampler=uniform", "replay.min_importance_weight=0.1"],
            r"replay.min_importance_weight=0.1: replay.sampler='uniform' has no priorities: leave it out, or set repla",
        ),
        (
            ["replay.value_target=mixed"],
            r"replay.value_target='mixed': reanalyze.fraction=0.0 never .* set reanalyze.fraction",
        ),
        (
            ["replay.mixed_newest=7"],
            r"replay.mixed_newest=7: replay.value_target='n-step' mixes nothing: leave it out, or set replay.value_t",
        ),
        (
            ["replay.mixed_after_steps=7", "reanalyze.fraction=1.0"],
            r"replay.mixed_after_steps=7: replay.value_target='n-step' mixes nothing",
        ),
        (["reanalyze.batches_in_flight=0"], r"reanalyze.batches_in_flight=0: input should be greater"),
    ],
)
def test_replay_and_reanalyze_refuse_what_cannot_be(overrides, fault):
    with pytest.raises(ConfigError, match=fault):
        parse_profile("[stop]\nenv_steps = 5\n", overrides)


def test_a_byte_order_mark_is_no_part_of_a_profile(tmp_path):
    (tmp_path / "p.toml").write_bytes(b"\xef\xbb\xbfseed = 3\n[stop]\nminutes = 1\n")
    assert load_profile(tmp_path / "p.toml").seed == 3


def test_a_value_of_no_kind_that_may_stand_there_is_named_with_all_of_them():
    with pytest.raises(ConfigError) as caught:
        parse_profile("[stop]\nminutes = 1\n[game.gymnasium.arguments]\nsize = [1]\n")
    assert str(caught.value) == (
        "game.gymnasium.arguments.size=[1]: it is none of the kinds that may stand here: bool, int, float, string"
    )


def test_an_empty_profile_is_named_unless_the_overrides_are_enough(tmp_path):
    path = tmp_path / "profile.toml"
    path.write_text("\n")
    assert load_profile(path, ["stop.minutes=1"]).stop.minutes == 1
    with pytest.raises(ConfigError, match=r"profile.toml: empty: stop: no limit is set"):
        load_profile(path)


@pytest.mark.parametrize("field", ["game.name", "topology.external"])
def test_parse_profile_refuses_a_text_that_would_steer_a_terminal(field):
    with pytest.raises(ConfigError, match=rf"^{field}='.x1b\[31mPong': it holds control characters"):
        parse_profile("", [f'{field}="\\u001b[31mPong"'])


@pytest.mark.parametrize(
    "choice",
    [
        "network.value_prefix=true",
        "network.consistency=true",
        "network.chance_codes=4",
        "learner.num_unroll_steps=3",
        "learner.loss_scale='all'",
    ],
)
def test_what_needs_a_learnt_model_is_refused_where_searches_walk_the_rules(choice):
    with pytest.raises(ConfigError, match=f"^{re.escape(choice)}: search.model='rules' .*: leave one of them out$"):
        parse_profile("", ["stop.learner_steps=9", "game.name=tic_tac_toe", "search.model=rules", choice])


def test_a_profile_whose_searches_walk_the_rules_unrolls_nothing():
    learned, rules = (
        parse_profile("", ["stop.learner_steps=9", f"search.model={each}"]) for each in ("learned", "rules")
    )
    assert (learned.num_unroll_steps, rules.num_unroll_steps) == (5, 0)
