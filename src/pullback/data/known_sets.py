"""The published data sets that a data folder may hold: their names after ``dataset=``, and their usual folders.
Imports nothing.
"""

FOLDERS = {
    "faust": "FAUST_r",
    "faust_a": "FAUST_a",
    "scape": "SCAPE_r",
    "scape_a": "SCAPE_a",
    "scape_acvd": "SCAPE_acvd",
    "shrec19": "SHREC19_r",
    "shrec19_subset": "SHREC19_subset",
    "dt4d_intra": "DT4D_r",
    "dt4d_inter": "DT4D_r",
    "smal": "SMAL_r",
    "tosca": "TOSCA_Isometric",
    "tss": "TSS_CVPR2016",
    "pf_willow": "PF-dataset-WILLOW",
    "pf_pascal": "PF-dataset-PASCAL",
    "spair71k": "SPair-71k",
}
# What an inspection finds a data set to be.
ABSENT, COMPLETE, INCOMPLETE, DAMAGED = "absent", "complete", "incomplete", "damaged"
