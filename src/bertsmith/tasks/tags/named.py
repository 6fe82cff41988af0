"""Sets with tags that have a name: what their official files are called, and how these are laid out.

The types of entities are those of the official files. Document context is for sets whose files say where documents
begin.
"""

from collections.abc import Mapping

from bertsmith.tasks.tags.schemes import entity_labels
from bertsmith.tasks.tags.task import TagTask

_ANATOMY = (
    "Anatomical_system",
    "Cell",
    "Cellular_component",
    "Developing_anatomical_structure",
    "Immaterial_anatomical_entity",
    "Multi-tissue_structure",
    "Organ",
    "Organism_subdivision",
    "Organism_substance",
    "Pathological_formation",
    "Tissue",
)
_DEFENCE = (
    "DocumentReference",
    "Location",
    "MilitaryPlatform",
    "Money",
    "Nationality",
    "Organisation",
    "Person",
    "Quantity",
    "Temporal",
    "Weapon",
)
_NAMES = ("LOC", "MISC", "ORG", "PER")  # of CoNLL-2003 and those that follow it
_GERMAN = tuple(f"{name}{part}" for name in ("LOC", "ORG", "OTH", "PER") for part in ("", "deriv", "part"))

TAG_TASKS: Mapping[str, TagTask] = {
    task.name: task
    for task in (
        TagTask(  # BERT 5.3; Tjong Kim Sang and De Meulder 2003. IOB1, though copies called train.txt may have IOB2
            "conll2003",
            entity_labels(_NAMES),
            context="document",
            files={
                "train": ("eng.train", "train.txt"),
                "dev": ("eng.testa", "valid.txt"),
                "test": ("eng.testb", "test.txt"),
            },
        ),
        TagTask(  # Derczynski et al. 2017
            "wnut17",
            entity_labels(("corporation", "creative-work", "group", "location", "person", "product")),
            files={
                "train": ("wnut17train.conll",),
                "dev": ("emerging.dev.conll",),
                "test": ("emerging.test.annotated",),
            },
        ),
        TagTask(  # Benikova et al. 2014: number, word, outer tag, inner tag; the outer ones are learnt
            "germeval2014",
            entity_labels(_GERMAN),
            word_column=1,
            tag_column=2,
            files={"train": ("NER-de-train.tsv",), "dev": ("NER-de-dev.tsv",), "test": ("NER-de-test.tsv",)},
        ),
        TagTask(  # Li et al. 2016, as SciBERT has it: one type
            "bc5cdr",
            entity_labels(("Entity",)),
            context="document",
            files={"train": ("train.txt",), "dev": ("dev.txt",), "test": ("test.txt",)},
        ),
        TagTask(  # Ohta et al. 2012
            "anem",
            entity_labels(_ANATOMY),
            files={
                "train": ("AnEM.train", "CONLL-format/data/AnEM.train"),
                "test": ("AnEM.test", "CONLL-format/data/AnEM.test"),
            },
        ),
        TagTask(  # Salinas Alvarado et al. 2015: contracts, of which the last file is the test
            "sec-filings",
            entity_labels(_NAMES),
            context="document",
            files={
                "train": ("FIN5.txt", "CONLL-format/data/train/FIN5.txt"),
                "test": ("FIN3.txt", "CONLL-format/data/test/FIN3.txt"),
            },
        ),
        TagTask(  # Dstl 2017
            "re3d",
            entity_labels(_DEFENCE),
            files={
                "train": ("re3d-train.conll", "CONLL-format/data/train/re3d-train.conll"),
                "test": ("re3d-test.conll", "CONLL-format/data/test/re3d-test.conll"),
            },
        ),
        TagTask(  # Park et al. 2021: a tag for each character, blanks included
            "klue-ner",
            entity_labels(("DT", "LC", "OG", "PS", "QT", "TI")),
            blank_words=True,
            files={"train": ("klue-ner-v1.1_train.tsv",), "dev": ("klue-ner-v1.1_dev.tsv",)},
        ),
    )
}
