"""Functional groups: which ones a molecule has (SMARTS), and which ones a text says it has.

Both sides use one vocabulary, the keys of `GROUPS`, so that what a caption claims can be held against the molecule:
`groups_named(caption) - groups_of(mol)` are its false claims.

Rules of the table:

- A group that is part of a larger one with a name of its own is not counted besides it: the hydroxy group of a
  carboxylic acid is no alcohol, the nitrogen of an amide no amine, the C-O-C of an ester no ether, the chlorine of an
  acyl chloride no chloro substituent.
- A special case is counted together with the general one: a lactone is an ester, a lactam an amide, an alcohol or a
  phenol a hydroxy compound, a primary amine an amine. The hydroxy group of a phenol is no alcohol.
- Rings count where they are fused to others too: indole has a benzene ring, quinoline a pyridine ring.
- Charged forms are groups of their own (carboxylate, ammonium), except that those of phosphates, sulfates and
  sulfonates count with the acids.
"""

from __future__ import annotations

import re
from functools import lru_cache
from types import MappingProxyType

from rdkit import Chem

__all__ = ["GROUPS", "IMPLIES", "count_groups", "groups_named", "groups_of"]

# Nitrogen bound to carbon that is no part of an amide, urea, amidine, cyanamide, sulfonamide, hydrazine, ...
_AMINE = "[NX3;+0;$(N[#6]);!$(N~[!#6;!#1]);!$(N[#6]=[O,S,N]);!$(NC#N)"
# A carbonyl carbon that carries carbon or hydrogen besides: no carbonic acid derivative.
_ACYL = "[CX3;$(C[#6]),$([CH1]),$([CH2])]"
# A carbon whose single-bonded hetero atom is not part of an acyl, thioacyl or imidoyl group.
_PLAIN = "[#6;!$([#6]=[O,S,N])]"

GROUPS: MappingProxyType[str, str] = MappingProxyType(
    {
        "carboxylic acid": f"{_ACYL}(=O)[OX2H1]",
        "carboxylate": f"{_ACYL}(=O)[OX1-]",
        "ester": "[#6X3;$([#6][#6]),$([CH1])](=O)[#8X2][#6;!$(C=[O,S,N])]",
        "lactone": "[#6X3;$([#6][#6])](=O)@[#8X2][#6;!$(C=[O,S,N])]",
        "thioester": f"{_ACYL}(=O)[SX2][#6]",
        "amide": f"{_ACYL}(=O)[NX3]",
        "lactam": f"{_ACYL}(=O)@[NX3]",
        "imide": f"{_ACYL}(=O)[NX3]{_ACYL}=O",
        "hydroxamic acid": f"{_ACYL}(=O)[NX3][OX2H1]",
        "hydrazide": f"{_ACYL}(=O)[NX3][NX3]",
        "anhydride": f"{_ACYL}(=O)[OX2]{_ACYL}=O",
        "acyl chloride": f"{_ACYL}(=O)[Cl]",
        "ketone": "[#6][#6X3](=O)[#6]",
        "aldehyde": "[CX3;H1,H2;$(C[#6]),$([CH2])]=[OX1]",
        "carbamate": "[NX3][CX3](=O)[OX2][#6]",
        "carbonate": "[#6][OX2][CX3](=O)[OX2][#6]",
        "urea": "[NX3][CX3](=O)[NX3]",
        "thiourea": "[NX3][CX3](=S)[NX3]",
        "guanidine": "[NX3][CX3]([NX3])=[NX2]",
        "amidine": "[CX3;$(C[#6]),$([CH1])]([NX3])=[NX2]",
        "amine": f"{_AMINE}]",
        "primary amine": f"{_AMINE};H2]",
        "secondary amine": f"{_AMINE};H1]",
        "tertiary amine": f"{_AMINE};H0]",
        "ammonium": "[NX4+]",
        "hydroxy": f"[OX2H1]{_PLAIN}",
        "alcohol": "[OX2H1][CX4]",
        "phenol": "[OX2H1][c;$(c1ccccc1)]",
        "ether": f"[OX2]({_PLAIN}){_PLAIN}",
        "methoxy": f"[CH3][OX2]{_PLAIN}",
        "epoxide": "[#6]1[OX2][#6]1",
        "peroxide": "[#6][OX2][OX2]",
        "nitrile": "[#6][CX2]#[NX1]",
        "nitro": "[#6][$([NX3+](=O)[O-]),$([NX3](=O)=O)]",
        "nitroso": "[#6,#7][NX2]=[OX1]",
        "imine": "[CX3;!$(C[!#6;!#1])]=[NX2;$(N[#6]),$([NH1])]",
        "oxime": "[CX3]=[NX2][OX2]",
        "hydrazone": "[CX3]=[NX2][NX3]",
        "hydrazine": "[NX3;+0;!$(N[#6,#16]=[O,S,N])][NX3;+0;!$(N[#6,#16]=[O,S,N])]",
        "azo": "[#6][NX2]=[NX2][#6]",
        "azide": "[#6][NX2]=[NX2+]=[NX1-]",
        "isocyanate": "[#6][NX2]=[CX2]=[OX1]",
        "isothiocyanate": "[#6][NX2]=[CX2]=[SX1]",
        "thiol": f"[SX2H1]{_PLAIN}",
        "sulfide": f"[SX2]({_PLAIN}){_PLAIN}",
        "disulfide": "[#6][SX2][SX2][#6]",
        "sulfoxide": "[#6][$([SX3]=[OX1]),$([SX3+][O-])][#6]",
        "sulfone": "[#6][SX4](=[OX1])(=[OX1])[#6]",
        "sulfonamide": "[#6][SX4](=[OX1])(=[OX1])[#7]",
        "sulfonic acid": "[#6][SX4](=[OX1])(=[OX1])[$([OX2H1]),$([OX1-])]",
        "sulfate": "[OX2,OX1-][SX4](=[OX1])(=[OX1])[OX2,OX1-]",
        "phosphate": "[PX4](=[OX1])([OX2,OX1-])([OX2,OX1-])[OX2,OX1-]",
        "phosphonate": "[#6][PX4](=[OX1])([OX2,OX1-])[OX2,OX1-]",
        "boronic acid": "[#6][BX3]([OX2H1])[OX2H1]",
        "fluoro": f"F{_PLAIN}",
        "chloro": f"Cl{_PLAIN}",
        "bromo": f"Br{_PLAIN}",
        "iodo": f"I{_PLAIN}",
        "alkene": "[CX3]=[CX3]",
        "alkyne": "[CX2]#[CX2]",
        "benzene ring": "c1ccccc1",
        "pyridine ring": "[$([nX2]),$([nX3+])]1ccccc1",
        "pyrimidine ring": "[nX2]1c[nX2]ccc1",
        "pyrrole ring": "[nX3;+0]1cccc1",
        "imidazole ring": "[nX3;+0]1c[nX2]cc1",
        "furan ring": "o1cccc1",
        "thiophene ring": "s1cccc1",
        "piperidine ring": "[NX3]1[CX4][CX4][CX4][CX4][CX4]1",
        "piperazine ring": "[NX3]1[CX4][CX4][NX3][CX4][CX4]1",
        "morpholine ring": "[OX2]1[CX4][CX4][NX3][CX4][CX4]1",
    }
)

# How a text says it; the plural in "s" is understood. Only whole words count: what stands inside a systematic name
# ("4-hydroxybenzoic acid") is the name's, and names are for OPSIN.
_START, _END = r"(?<![\w\-)\]}])", r"(?![\w\-\]}]|\)[\w\-\[({])"
_MANY = "(?:mono|di|tri|tetra|penta|poly|bis|per)?"
_UNIT = "(?: (?:group|substituent|moiety|function|functional group|functionality|unit))"
# "a monocarboxylic acid amide" is an amide; "a carbamate ester" is no carboxylic ester.
_NOT_DERIVED = r"(?! (?:di|tri|mono)?(?:ester|amide|anion|derivative|chloride|anhydride|hydrazide|residue|salt|oxide))"
_NO_CARBON_ACID = "".join(
    f"(?<!{acid} )"
    for acid in (
        "carbamate",
        "carbonate",
        "silyl",
        "borate",
        "phosphate",
        "sulfate",
        "sulfuric",
        "phosphoric",
        "nitrate",
    )
)


def _substituent(*words: str) -> str:
    """ "amino group", "two chloro and one amino substituent": the prefix as a word, not as part of a name."""
    return f"{_MANY}(?:{'|'.join(words)}){_UNIT}?"


def _ring(name: str) -> str:
    return f"{name} (?:ring|nucleus|core|moiety|unit|system)"


_WORDS: dict[str, str] = {
    "carboxylic acid": rf"{_MANY}(?:hydroxy|oxo|amino)?{_MANY}carboxylic acid{_NOT_DERIVED}|carboxyl?{_UNIT}?",
    "carboxylate": rf"{_MANY}carboxylate(?! ester){_UNIT}?|{_MANY}carboxylic acid anion",
    "ester": rf"{_NO_CARBON_ACID}(?:di|tri)?ester(?! of (?:sulfur|phosph|nitr))",
    "lactone": "(?:di|macro)?lactone|macrolide|coumarin|cyclic ester",
    "thioester": "thioester",
    "amide": rf"(?:{_MANY}(?:carbox)?amide|carboxamido){_UNIT}?",
    "lactam": "lactam|cyclic amide",
    "imide": "(?:dicarbox)?imide",
    "hydroxamic acid": "hydroxamic acid",
    "hydrazide": "(?:carbo)?hydrazide",
    "anhydride": "(?:acid|carboxylic|dicarboxylic|cyclic) anhydride|anhydride",
    "acyl chloride": "(?:acyl|acid) chloride",
    "ketone": f"{_MANY}ketone|keto{_UNIT}",
    "aldehyde": f"{_MANY}aldehyde|formyl{_UNIT}?",
    "carbamate": "carbamate(?: ester)?|urethane",
    "carbonate": "carbonate(?: ester)?",
    "urea": "urea",
    "thiourea": "thiourea",
    "guanidine": "guanidine|guanidino group",
    "amidine": "(?:carbox)?amidine|amidino group",
    "amine": f"{_MANY}amine{_NOT_DERIVED}|amino compound",
    "primary amine": "primary (?:amine|amino compound|amino group)|primary ali(?:phatic|cyclic) amine",
    "secondary amine": "secondary (?:amine|amino compound|amino group)",
    "tertiary amine": f"tertiary (?:amine|amino compound|amino group){_NOT_DERIVED}",
    "ammonium": "(?:quaternary )?ammonium(?: ion| group| salt)?",
    "hydroxy": f"{_substituent('hydroxy', 'hydroxyl')}|hydroxylated",
    "alcohol": "(?:(?:primary|secondary|tertiary) )?alcohol|(?:di|tri|tetr|poly)ol",
    "phenol": "(?:poly|bis)?phenol|phenolic(?: hydroxyl?| OH)?(?: group)?",
    "ether": "(?<!silyl )(?:di|poly)?ether",
    "methoxy": _substituent("methoxy"),
    "epoxide": f"(?:di)?epoxide|{_substituent('epoxy')}",
    "peroxide": "(?:hydro)?peroxide|peroxy group",
    "nitrile": f"(?:di)?nitrile{_NOT_DERIVED}|{_substituent('cyano')}",
    "nitro": f"(?:C-)?nitro compound|nitroarene|{_substituent('nitro')}",
    "nitroso": f"nitrosamine|nitroso compound|{_substituent('nitroso')}",
    "imine": "(?:di|ald|ket)?imine|Schiff base",
    "oxime": "(?:ald|ket)?oxime(?: O-ether)?",
    "hydrazone": "hydrazone",
    "hydrazine": "hydrazine|hydrazino group",
    "azo": f"azo compound|{_substituent('azo')}",
    "azide": f"azide|{_substituent('azido')}",
    "isocyanate": "(?:di)?isocyanate",
    "isothiocyanate": "isothiocyanate",
    "thiol": f"(?:di)?thiol|mercaptan|{_substituent('sulfanyl', 'mercapto', 'sulfhydryl')}",
    "sulfide": "(?:organic |aryl |alkyl )?sulfide|thioether",
    "disulfide": "(?:organic )?disulfide",
    "sulfoxide": "sulfoxide",
    "sulfone": "sulfone",
    "sulfonamide": "sulfonamide",
    "sulfonic acid": f"{_MANY}(?:arene|alkane|organo)?sulfonic acid{_NOT_DERIVED}",
    "sulfate": "(?:organo)?sulfate(?: ester| group)?|sulfuric ester",
    "phosphate": f"(?:organo)?{_MANY}phosphate(?: ester| group)?",
    "phosphonate": "phosphonate(?: ester| group)?|phosphonic acid",
    "boronic acid": "boronic acid",
    "fluoro": f"organofluorine compound|fluorinated|{_substituent('fluoro')}",
    "chloro": f"organochlorine compound|chlorinated|{_substituent('chloro')}",
    "bromo": f"organobromine compound|brominated|{_substituent('bromo')}",
    "iodo": f"organoiodine compound|iodinated|{_substituent('iodo')}",
    "alkene": "alkene|olefin(?:ic compound)?|carbon-carbon double bond|C=C double bond",
    "alkyne": "alkyne|acetylenic compound|carbon-carbon triple bond|C#C triple bond",
    "benzene ring": f"{_ring('(?:benzene|phenyl|arene)')}|benzenes",
    "pyridine ring": f"{_ring('pyridine')}|pyridines",
    "pyrimidine ring": f"{_ring('pyrimidine')}|pyrimidines",
    "pyrrole ring": f"{_ring('pyrrole')}|pyrroles",
    "imidazole ring": f"{_ring('imidazole')}|imidazoles",
    "furan ring": _ring("furan"),
    "thiophene ring": f"{_ring('thiophene')}|thiophenes",
    "piperidine ring": f"{_ring('piperidine')}|piperidines",
    "piperazine ring": f"{_ring('piperazine')}|piperazines",
    "morpholine ring": f"{_ring('morpholine')}|morpholines",
}

# What follows tells of another molecule, up to the end of the sentence: where this one comes from or goes to.
_OF_ANOTHER = re.compile(
    r"\b(?:(?:obtained|result(?:s|ing)|aris(?:es|ing)|form(?:ed|ing)|prepared|synthesi[sz]ed|made|derive[sd]?|deriving)"
    r" (?:\w+ )?(?:from|by|via|in|when|out of)|condensation of|(?:de)?protonation of|oxidation of|reduction of"
    r"|hydrolysis of|conjugate (?:acid|base) of|tautomer of|functional(?:ly)? relat(?:ion|ed) to|enantiomer of"
    r"|inhibit\w*|react\w*|convert\w*|role as|used (?:as|in|for|to)|isolated from|found in(?! it\b))\b.*"
)
# "in which the hydroxy group has been replaced by chloro": what stood there before is gone.
_REPLACED = re.compile(
    r"\b(?:in which|where|wherein|with|whose|by replacement of)\b(?:(?!\b(?:in which|where|whose)\b)[^.;]){0,500}?"
    r"\b(?:replace[ds]?|exchanged|converted|replacement|acylated|esterified|methylated) (?:\w+ )?(?:by|with|to|into)\b"
)
_DENIED = re.compile(
    r"\b(?:no|not|without|lack(?:s|ing)?|devoid of|absence of|free of|neither|nor|rather than|instead of)\b[^,;]*"
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|;|\n")


def groups_of(mol: Chem.Mol) -> frozenset[str]:
    """The groups of `GROUPS` that the molecule has.

    >>> sorted(groups_of(Chem.MolFromSmiles("CC(=O)Nc1ccc(O)cc1")))
    ['amide', 'benzene ring', 'hydroxy', 'phenol']
    """
    return frozenset(name for name, query in _queries().items() if mol.HasSubstructMatch(query))


def count_groups(mol: Chem.Mol) -> dict[str, int]:
    """How often each group occurs that the molecule has, in the order of `GROUPS`.

    >>> count_groups(Chem.MolFromSmiles("OCCO"))
    {'hydroxy': 2, 'alcohol': 2}
    """
    counted = {name: len(mol.GetSubstructMatches(query)) for name, query in _queries().items()}
    return {name: count for name, count in counted.items() if count}


def groups_named(text: str) -> frozenset[str]:
    """The groups of `GROUPS` that a text says its molecule has.

    Read are whole words in the singular or plural ("a tertiary alcohol", "two chloro substituents"), the general group
    with the special one. Not read: what stands inside a systematic name; what the text denies ("without a hydroxy
    group") or says of another molecule ("derives from ...", "condensation of the carboxy group of ...", "in which the
    amino group is replaced by ...").

    >>> sorted(groups_named("A lactone and a member of phenols, without a carboxylic acid. It derives from an amine."))
    ['ester', 'hydroxy', 'lactone', 'phenol']
    """
    own = "\n".join(_own_part(sentence) for sentence in _SENTENCE_END.split(" ".join(text.split())))
    if not own.strip():
        return frozenset()
    found = {name for name, pattern in _patterns().items() if pattern.search(own)}
    return frozenset(found.union(*(IMPLIES.get(name, ()) for name in found)))


# The general groups that a special one is counted with.
IMPLIES: dict[str, tuple[str, ...]] = {
    "lactone": ("ester",),
    "lactam": ("amide",),
    "imide": ("amide",),
    "hydrazide": ("amide",),
    "hydroxamic acid": ("amide",),
    "primary amine": ("amine",),
    "secondary amine": ("amine",),
    "tertiary amine": ("amine",),
    "alcohol": ("hydroxy",),
    "phenol": ("hydroxy",),
    "epoxide": ("ether",),
    "methoxy": ("ether",),
}


def _own_part(sentence: str) -> str:
    return _DENIED.sub(" ", _REPLACED.sub(" ", _OF_ANOTHER.sub(" ", sentence)))


@lru_cache(maxsize=1)
def _queries() -> dict[str, Chem.Mol]:
    return {name: Chem.MolFromSmarts(smarts) for name, smarts in GROUPS.items()}


@lru_cache(maxsize=1)
def _patterns() -> dict[str, re.Pattern[str]]:
    return {name: re.compile(rf"{_START}(?:{words})s?{_END}", re.IGNORECASE) for name, words in _WORDS.items()}
