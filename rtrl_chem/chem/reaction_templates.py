"""Twenty-five textbook reactions as reaction SMARTS of our own writing, for synthetic reactions.

A template writes only the molecules that give heavy atoms to the product: catalysts, bases, water, hydrides and
oxidants are left out, as is every by-product. Stereocentres that a reaction creates stay unspecified. `source` is the
name under which organic chemistry textbooks treat the reaction; `example` is worked by hand and checked by a test.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ALWAYS_CLASH", "COMPETING", "TEMPLATES", "ReactionTemplate"]

# Functional groups that would compete with the reacting group or not survive it. A group counts only where none of
# its atoms belongs to the reacting group: a second alkyl halide disqualifies an alkyl halide, its own halogen does not.
COMPETING = {
    "acid": "[CX3](=[O,S])[OX2H1]",
    "acyl": "[CX3]=[O,S,N]",
    "acyl halide": "[CX3](=[O,S])[F,Cl,Br,I]",
    "alcohol": "[OX2H1][CX4]",
    "aldehyde": "[CX3;H1,H2;!$(C[N,O,S])]=O",
    "alkene": "[CX3]=[CX3]",
    "alkyl halide": "[CX4][Cl,Br,I]",
    "alkyne": "[CX2]#[CX2]",
    "amine": "[NX3;H1,H2;!$(N[C,S]=[O,S])]",
    "anhydride": "[CX3](=O)O[CX3]=O",
    "aryl halide": "[c,$(C=C)][Br,I]",
    "azide": "N=[N+]=[N-]",
    "boron": "B",
    "carbamate": "[NX3]C(=O)O[#6]",
    "epoxide": "C1[O,N,S]C1",
    "ester": "[CX3](=O)O[#6]",
    "hydroxyl": "[OX2H1]",
    "isocyanate": "N=C=[O,S]",
    "Michael acceptor": "[CX3H2]=[CX3;$(C[$(C=O),$(C#N),$(S=O),$([N+]=O)])]",
    "ketone": "[#6][CX3](=O)[#6]",
    "N-H": "[#7;!H0]",
    "nitrile": "C#N",
    "nitro": "[N+](=O)[O-]",
    "phenol": "[OX2H1]c",
    "strong acid": "[SX3,SX4](=O)[OX2H1]",
    "sulfonyl": "S=O",
    "sulfonyl halide": "[SX3,SX4](=O)[F,Cl,Br,I]",
    "thiol": "[SX2H1]",
}
# Nothing in the corpus may hold one of these beside its reacting group, unless the template tolerates it.
ALWAYS_CLASH = (
    "acid", "acyl halide", "aldehyde", "alkyl halide", "amine", "anhydride", "azide", "boron", "epoxide", "isocyanate",
    "Michael acceptor", "strong acid", "sulfonyl halide", "thiol",
)  # fmt: skip
# With one substrate and unwritten reagents only the functional group tells which reaction is meant: it must be alone.
ONE_SUBSTRATE = ("acyl halide", "alcohol", "alkene", "alkyne", "carbamate", "ester", "ketone", "nitro")

# Reacting groups that several templates share, without the closing bracket so that each can add its atom map number.
# Amine nitrogen bound to carbon and hydrogen only; no amide, amidine, enamine or cyanamide, no diarylamine, and not
# between two quaternary carbons (too hindered).
AMINE = "[NX3;H1,H2;!$(N~[!#6]);!$(NC=*);!$(NC#*);!$(N(c)c);!$(N([CX4H0])[CX4H0])"
SECONDARY_AMINE = AMINE.replace("H1,H2", "H1")
ACID_CARBON = "[CX3;$(C([#6])(=O)[OX2H1])"
ALCOHOL = "[OX2H1;$(O[CX4;!H0]);!$(O[CX4][!#6])"
# Methyl or primary, and no second heteroatom on the same carbon.
ALKYL_HALIDE_CARBON = "[CX4;H2,H3;!$(C([Cl,Br,I])[!#6])"
ALDEHYDE_CARBON = "[CX3;H1;$(C[#6])"
# Of an aldehyde or a ketone.
CARBONYL_CARBON = "[CX3;$([CH1][#6]),$(C([#6])[#6])"
ARYL_HALIDE = "[c:1][Br,I]"
# Fluoride or chloride ortho or para to a nitro group, or in position 2 of a 1,3-diazine, or 4 of a pyrimidine.
SNAR_CARBON = "[c;$(c1c([N+](=O)[O-])cccc1),$(c1ccc([N+](=O)[O-])cc1),$(c(n)n),$(c1ncncc1)"
# A diene that can reach the s-cis form: open-chain with free ends, or within one five- or six-membered ring.
DIENE_END = (
    "[CX3;$([CH2]=[C;!r3;!r4]!@[C;!r3;!r4]=[CH2]),"
    "$([CR1]1=[CR1][CR1]=[CR1][CX4]1),$([CR1]1=[CR1][CR1]=[CR1][CX4][CX4]1)"
)
BOC_ANHYDRIDE = "CC(C)(C)OC(=O)OC(=O)OC(C)(C)C"
PHOSPHONOACETATE = "CCOC(=O)CP(=O)(OCC)OCC"


@dataclass(frozen=True)
class ReactionTemplate:
    """One reaction: how it is written, where it is from, which building blocks it takes.

    `reagent` is the last reactant where it is always the same molecule. `feedstock` names the template whose products
    are substrates too, where building blocks alone offer too few. `clashes` and `tolerates` extend and shorten
    `ALWAYS_CLASH`.
    """

    name: str
    source: str
    smarts: str
    example: tuple[str, str]
    clashes: tuple[str, ...] = ()
    tolerates: tuple[str, ...] = ()
    reagent: str = ""
    feedstock: str = ""

    @property
    def forbidden(self) -> tuple[str, ...]:
        """Names of the groups that a building block may not hold outside its reacting group."""
        return tuple(sorted({*ALWAYS_CLASH, *self.clashes} - set(self.tolerates)))


TEMPLATES = (
    ReactionTemplate(
        name="amide_coupling",
        source="Amide coupling of a carboxylic acid and an amine (carbodiimide or HATU)",
        smarts=f"{ACID_CARBON}:1](=[O:2])[OX2H1].{AMINE}:3]>>[C:1](=[O:2])[N:3]",
        example=("OC(=O)c1ccccc1.NCc1ccccc1", "O=C(NCc1ccccc1)c1ccccc1"),
    ),
    ReactionTemplate(
        name="fischer_esterification",
        source="Fischer-Speier esterification",
        smarts=f"{ACID_CARBON}:1](=[O:2])[OX2H1].{ALCOHOL}:3]>>[C:1](=[O:2])[O:3]",
        example=("CC(=O)O.CC(C)CCO", "CC(=O)OCCC(C)C"),
        clashes=("hydroxyl",),
    ),
    ReactionTemplate(
        name="schotten_baumann",
        source="Schotten-Baumann acylation of an amine by an acyl chloride",
        smarts=f"[CX3;$(C[#6]):1](=[O:2])Cl.{AMINE}:3]>>[C:1](=[O:2])[N:3]",
        example=("O=C(Cl)c1ccccc1.C1COCCN1", "O=C(c1ccccc1)N1CCOCC1"),
        clashes=("hydroxyl",),
    ),
    ReactionTemplate(
        name="williamson_ether",
        source="Williamson ether synthesis (phenol and alkyl halide)",
        smarts=f"[c:1][OX2H1:2].{ALKYL_HALIDE_CARBON}:3][Cl,Br,I]>>[c:1][O:2][C:3]",
        example=("Oc1ccccc1.BrCC=C", "C=CCOc1ccccc1"),
        clashes=("hydroxyl",),
    ),
    ReactionTemplate(
        name="amine_alkylation",
        source="Nucleophilic substitution (SN2) of an alkyl halide by a secondary amine",
        smarts=f"{SECONDARY_AMINE}:1].{ALKYL_HALIDE_CARBON}:2][Cl,Br,I]>>[N:1][C:2]",
        example=("C1CCNCC1.ClCc1ccccc1", "c1ccc(CN2CCCCC2)cc1"),
        clashes=("phenol",),
    ),
    ReactionTemplate(
        name="reductive_amination",
        source="Borch reductive amination",
        smarts=f"{CARBONYL_CARBON}:1]=[OX1].{AMINE}:2]>>[C:1][N:2]",
        example=("O=Cc1ccccc1.NC1CCCCC1", "c1ccc(CNC2CCCCC2)cc1"),
        clashes=("alkyne", "ketone"),
    ),
    ReactionTemplate(
        name="suzuki",
        source="Suzuki-Miyaura coupling of a boronic acid",
        smarts=f"{ARYL_HALIDE}.[c,$(C=C):2]B([OX2H1])[OX2H1]>>[c:1]-[*:2]",
        example=("Brc1ccncc1.OB(O)c1ccc(F)cc1", "Fc1ccc(-c2ccncc2)cc1"),
        clashes=("aryl halide",),
    ),
    ReactionTemplate(
        name="sonogashira",
        source="Sonogashira coupling",
        smarts=f"{ARYL_HALIDE}.[CX2H1:2]#[CX2:3]>>[c:1]-[C:2]#[C:3]",
        example=("Ic1ccccc1.C#CCO", "OCC#Cc1ccccc1"),
        clashes=("aryl halide", "alkyne"),
    ),
    ReactionTemplate(
        name="heck",
        source="Mizoroki-Heck reaction, trans product",
        smarts=f"{ARYL_HALIDE}.[CX3H2:2]=[CX3H1:3][$(C(=O)[#6,#7,#8]),$(C#N),$(c):4]>>[c:1]/[CH1:2]=[CH1:3]/[*:4]",
        example=("Ic1ccccc1.C=CC(=O)OC", "COC(=O)/C=C/c1ccccc1"),
        clashes=("aryl halide", "alkene"),
        tolerates=("acid", "Michael acceptor"),
    ),
    ReactionTemplate(
        name="buchwald_hartwig",
        source="Buchwald-Hartwig amination",
        smarts=f"{ARYL_HALIDE}.{AMINE}:2]>>[c:1][N:2]",
        example=("Brc1ccc(C)cc1.C1COCCN1", "Cc1ccc(N2CCOCC2)cc1"),
        clashes=("aryl halide", "hydroxyl"),
    ),
    ReactionTemplate(
        name="snar",
        source="Nucleophilic aromatic substitution (addition-elimination)",
        smarts=f"{SNAR_CARBON}:1][F,Cl].{AMINE}:2]>>[c:1][N:2]",
        example=("O=[N+]([O-])c1ccc(F)cc1.CNC", "CN(C)c1ccc([N+](=O)[O-])cc1"),
        clashes=("hydroxyl",),
    ),
    ReactionTemplate(
        name="grignard_addition",
        source="Grignard reaction of an organic bromide (as RMgBr) with an aldehyde or ketone",
        smarts=(f"[c,$([CX4;H2,H3]);!$(C(Br)[!#6]);!$(C(Br)C[!#6]):1]Br.{CARBONYL_CARBON}:2]=[OX1:3]>>[*:1][C:2][O:3]"),
        example=("Brc1ccccc1.CC(C)=O", "CC(C)(O)c1ccccc1"),
        clashes=("acyl", "alkyne", "aryl halide", "hydroxyl", "N-H", "nitrile", "nitro", "sulfonyl"),
    ),
    ReactionTemplate(
        name="boc_protection",
        source="tert-Butoxycarbonyl (Boc) protection of an amine",
        smarts=f"{AMINE}:1].[CX4:2][O:3][C:4](=[O:5])OC(=O)O[CX4]>>[CX4:2][O:3][C:4](=[O:5])[N:1]",
        example=(f"NCc1ccccc1.{BOC_ANHYDRIDE}", "CC(C)(C)OC(=O)NCc1ccccc1"),
        clashes=("phenol",),
        reagent=BOC_ANHYDRIDE,
    ),
    ReactionTemplate(
        name="boc_deprotection",
        source="Acidolytic removal of the Boc group",
        smarts="[NX3:1]C(=O)O[CX4]([CH3])([CH3])[CH3]>>[N:1]",
        example=("CC(C)(C)OC(=O)N1CCOCC1", "C1COCCN1"),
        clashes=ONE_SUBSTRATE,
        feedstock="boc_protection",
    ),
    ReactionTemplate(
        name="saponification",
        source="Ester hydrolysis (saponification) to the acid",
        smarts="[CX3;$(C[#6]):1](=[O:2])[OX2;!R:3][CX4;!$(C([CH3])([CH3])[CH3])]>>[C:1](=[O:2])[O:3]",
        example=("CCOC(=O)c1ccccc1", "O=C(O)c1ccccc1"),
        clashes=ONE_SUBSTRATE,
        feedstock="fischer_esterification",
    ),
    ReactionTemplate(
        name="nitro_reduction",
        source="Reduction of a nitroarene to the aniline (Bechamp, or catalytic hydrogenation)",
        smarts="[c:1][N+:2](=O)[O-]>>[c:1][N+0:2]",
        example=("Cc1ccc([N+](=O)[O-])cc1", "Cc1ccc(N)cc1"),
        clashes=ONE_SUBSTRATE,
        feedstock="snar",
    ),
    ReactionTemplate(
        name="carbonyl_reduction",
        source="Hydride reduction of an aldehyde or ketone (sodium borohydride)",
        smarts=f"{CARBONYL_CARBON}:1]=[OX1:2]>>[C:1]-[O:2]",
        example=("CC(=O)c1ccccc1", "CC(O)c1ccccc1"),
        clashes=ONE_SUBSTRATE,
    ),
    ReactionTemplate(
        name="alcohol_oxidation",
        source="Swern or Dess-Martin oxidation of a primary or secondary alcohol",
        smarts="[CX4;H1,H2;$(C[#6]);!$(C(O)[!#6]):1]-[OX2H1:2]>>[C:1]=[O:2]",
        example=("OCc1ccccc1", "O=Cc1ccccc1"),
        clashes=ONE_SUBSTRATE,
    ),
    ReactionTemplate(
        name="sulfonamide",
        source="Hinsberg sulfonylation of an amine",
        smarts=f"[SX4;$(S[#6]):1](=[O:2])(=[O:3])Cl.{AMINE}:4]>>[S:1](=[O:2])(=[O:3])[N:4]",
        example=("Cc1ccc(S(=O)(=O)Cl)cc1.NCc1ccccc1", "Cc1ccc(S(=O)(=O)NCc2ccccc2)cc1"),
        clashes=("hydroxyl",),
    ),
    ReactionTemplate(
        name="urea",
        source="Addition of an amine to an isocyanate (Woehler urea synthesis)",
        smarts=f"[#6:1][N:2]=[C:3]=[O:4].{AMINE}:5]>>[#6:1][N:2][C:3](=[O:4])[N:5]",
        example=("O=C=Nc1ccccc1.CNC", "CN(C)C(=O)Nc1ccccc1"),
        clashes=("hydroxyl",),
    ),
    ReactionTemplate(
        name="horner_wadsworth_emmons",
        source="Horner-Wadsworth-Emmons olefination, trans product",
        smarts=f"{ALDEHYDE_CARBON}:1](=O)[#6:2].[C:3](=[O:4])[CH2:5]P>>[#6:2]/[CH1:1]=[CH1:5]/[C:3](=[O:4])",
        example=(f"O=Cc1ccccc1.{PHOSPHONOACETATE}", "CCOC(=O)/C=C/c1ccccc1"),
        clashes=("ketone",),
        reagent=PHOSPHONOACETATE,
    ),
    ReactionTemplate(
        name="claisen_schmidt",
        source="Claisen-Schmidt (crossed aldol) condensation to a trans chalcone",
        smarts="[c:1][C:2](=[O:3])[CH3:4].[c:5][CH1:6]=O>>[c:1][C:2](=[O:3])/[CH1:4]=[CH1:6]/[c:5]",
        example=("CC(=O)c1ccccc1.O=Cc1ccccc1", "O=C(/C=C/c1ccccc1)c1ccccc1"),
        clashes=("ketone",),
    ),
    ReactionTemplate(
        name="azide_alkyne_click",
        source="Copper-catalysed azide-alkyne (Huisgen) cycloaddition, 1,4-triazole",
        smarts="[#6:1][N:2]=[N+:3]=[N-:4].[CX2H1:5]#[CX2:6]>>[#6:1][n:2]1[n+0:3][n+0:4][c:6][c:5]1",
        example=("[N-]=[N+]=NCc1ccccc1.C#Cc1ccccc1", "c1ccc(Cn2cc(-c3ccccc3)nn2)cc1"),
        clashes=("alkyne",),
        tolerates=("acid",),
    ),
    ReactionTemplate(
        name="diels_alder",
        source="Diels-Alder cycloaddition, only where the regiochemistry is forced by symmetry",
        # The dienophile has a free end or lies in a ring, so that no double-bond geometry has to be carried over.
        smarts=(
            f"{DIENE_END}:1]=[CX3:2][CX3:3]=[CX3:4]."
            "[CX3;H2,H1&R:5]=[CX3;R,$(C=[CH2]);$(C-[$(C=O),$(C#N),$(S(=O)=O),$([N+](=O)[O-])]):6]"
            ">>[C:1]1[C:2]=[C:3][C:4][C:5][C:6]1"
        ),
        example=("C=CC=C.O=C1C=CC(=O)O1", "O=C1OC(=O)C2CC=CCC12"),
        clashes=("alkene",),
        tolerates=("acid", "aldehyde", "anhydride", "Michael acceptor"),
    ),
    ReactionTemplate(
        name="epoxide_opening",
        source="Aminolysis of a terminal epoxide at its free carbon",
        smarts=f"[CX4;H2:1]1[CX4;H1:2][O:3]1.{AMINE}:4]>>[N:4][C:1][C:2][O:3]",
        example=("C1OC1COc1ccccc1.CC(C)N", "CC(C)NCC(O)COc1ccccc1"),
        clashes=("phenol",),
    ),
)
