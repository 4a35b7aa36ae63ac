"""The maintainers' command: finished work goes over from `out/` to `results/`, checked; nothing else writes there."""
from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from replication import checked, files, paths, provenance
from replication.errors import BadInput
from replication.pages import figures, metrics
from replication.runs import bundle, store
from replication.studies import study
from replication.studies.profiles import Profile
from replication.studies.profiles import profile as profile_of

KINDS = (("notebooks", "*.ipynb"), ("metrics", "*.json"))
OWN = "reproduced"  # the page a reader's book has and the published one has not


def publish(profile: Profile) -> None:
    """Copies every finished run that some profile asks for or a page's numbers come from, and its twins, every table,
    executed notebook and page's numbers, and draws the README's picture.

    Raises BadInput, before anything is written, when the profile is not finished, when a run or page came from code
    that was not committed, when a published run of the same address says something else, or when a table is not what
    was written.
    """
    missing = [grid.study.name for grid in study.of_profile(profile) if grid.missing]
    if missing:
        raise BadInput(f"Profile {profile.name} is not finished ({', '.join(missing)}): make reproduce "
                       f"PROFILE={profile.name} first.")
    if provenance.collect()["dirty"]:
        raise BadInput("The code differs from the last commit: commit it, then make reproduce and publish again.")
    wanted = {cell.address for path in (paths.ROOT / "profiles").glob("*.yaml")
              for grid in study.of_profile(profile_of(path.stem)) for cell in grid.cells}
    for page in metrics.pages():
        wanted |= set((metrics.read(page) or {}).get("provenance", {}).get("addresses", ()))
    twins = {place: paths.PUBLISHED / "twins" / place.name for place in sorted((paths.mine() / "twins").glob("*"))}
    taken = [(run, store.folder(run.address, one), store.folder(run.address, other))
             for one, other in ({paths.mine(): paths.PUBLISHED} | twins).items()
             for run in store.everything(one) if run.address in wanted]
    for run, here, there in taken:
        if run.provenance.get("dirty") or not run.provenance.get("commit"):
            raise BadInput(f"Run {run.address} was trained by code that was not committed, or does not say: delete "
                           f"{here}, and reproduce again.")
        if (there / "summary.json").exists() and store.read(there).summary != run.summary:
            raise BadInput(f"Run {run.address} is published with another result: delete one of {there} and {here}, "
                           f"whichever is wrong.")
    figures.style()
    picture = figures.learning_curves(study.stored("v1.aux", profile.name))
    tables = {path: checked.content(path) for path in sorted((paths.mine() / "tables").glob("*.csv"))}
    try:
        for _, here, there in taken:
            if not (there / "summary.json").exists():
                for name in bundle.FILES:  # the last of them is the commit
                    _copy(here / name, there / name)
        for kind, names in KINDS:
            for path in sorted((paths.mine() / kind).glob(names)):
                if path.stem != OWN:
                    _copy(path, paths.PUBLISHED / kind / path.name)
        for path, content in tables.items():  # those of before get their sums
            checked.write(paths.PUBLISHED / "tables" / path.name, content)
        if isinstance(picture, Figure):
            files.write(paths.PUBLISHED / "figure.svg", figures.svg(picture))
    except OSError as problem:
        raise BadInput(f"Could not write to {paths.PUBLISHED} ({problem.strerror}): free some space, then publish "
                       f"again; what was taken over stays.") from problem
    print(f"Published {len(taken)} runs of {paths.mine()} to {paths.PUBLISHED}; look at git diff, then commit.")


def _copy(path: Path, there: Path) -> None:
    with files.whole(there) as partial:
        partial.write_bytes(path.read_bytes())
