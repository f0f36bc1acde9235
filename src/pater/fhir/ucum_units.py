"""What the units of UCUM are worth: codes and their definitions by other units, as plain facts.

Each entry is `code=number*unit`: `[in_i]=2.54*cm`. The values are those of the SI and of the laws
that define the units; no text of the specification stands here.
"""

from __future__ import annotations

from fractions import Fraction
from types import MappingProxyType

PREFIXES = MappingProxyType(
    {
        code: Fraction(10) ** power
        for code, power in {
            "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
            "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21,
            "y": -24,
        }.items()
    }
    | {code: Fraction(2) ** power for code, power in
       {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40}.items()}
)  # fmt: skip
"""prefix → factor."""

BASE = ("m", "s", "g", "rad", "K", "C", "cd")
"""The base units; all take a prefix."""

METRIC = """
mol=6.02214076*10*23 eq=1*mol osm=1*mol kat=1*mol/s U=1*umol/min
l=1*dm3 L=1*dm3 st=1*m3 ar=100*m2 t=1000*kg u=1.66053906660e-24*g tex=1*g/km
bar=1e5*Pa m[H2O]=9.80665*kPa m[Hg]=133.3220*kPa N=1*kg.m/s2 Pa=1*N/m2 gf=1*g.[g] dyn=1*g.cm/s2
J=1*N.m W=1*J/s eV=1*[e].V erg=1*dyn.cm cal=4.184*J cal_th=4.184*J cal_IT=4.1868*J
cal_m=4.19002*J cal_[15]=4.1858*J cal_[20]=4.1819*J
Hz=1*s-1 Bq=1*s-1 Ci=3.7e10*Bq Gy=1*J/kg Sv=1*J/kg RAD=0.01*Gy REM=0.01*Sv R=2.58e-4*C/kg
A=1*C/s V=1*J/C F=1*C/V Ohm=1*V/A S=1*A/V mho=1*S Wb=1*V.s T=1*Wb/m2 H=1*Wb/A Bi=10*A
Mx=1e-8*Wb G=1e-4*T Oe=250*/[pi].A/m Gb=1*Oe.cm
sr=1*rad2 lm=1*cd.sr lx=1*lm/m2 sb=1*cd/cm2 Lmb=1*cd/cm2/[pi] ph=1e-4*lx
Ky=1*cm-1 Gal=1*cm/s2 P=1*dyn.s/cm2 St=1*cm2/s pc=3.085678e16*m [ly]=1*[c].a_j g%=1*g/dl
[c]=299792458*m/s [h]=6.62607015e-34*J.s [k]=1.380649e-23*J/K [eps_0]=8.854187817e-12*F/m
[mu_0]=4*[pi].10*-7.N/A2 [e]=1.602176634e-19*C [m_e]=9.1093837139e-31*kg
[m_p]=1.67262192595e-27*kg [G]=6.67430e-11*m3.kg-1.s-2 [g]=9.80665*m/s2
bit=1*1 By=8*bit Bd=1*s-1 [IU]=1*[iU]
"""
"""Units that take a prefix."""

PLAIN = """
10*=10*1 10^=10*1 [pi]=3.1415926535897932384626433832795028841971693993751058209749445923*1
%=0.01*1 [ppth]=1e-3*1 [ppm]=1e-6*1 [ppb]=1e-9*1 [pptr]=1e-12*1
deg=1*[pi].rad/180 gon=0.9*deg '=1*deg/60 ''=1*'/60 circ=2*[pi].rad sph=4*[pi].sr
min=60*s h=60*min d=24*h wk=7*d a_t=365.24219*d a_j=365.25*d a_g=365.2425*d a=1*a_j
mo_s=29.53059*d mo_j=1*a_j/12 mo_g=1*a_g/12 mo=1*mo_j [S]=1e-13*s
AU=149597.870691*Mm Ao=0.1*nm b=100*fm2 [smoot]=67*[in_i] [diop]=1*m-1 [Ch]=1*mm/3
atm=101325*Pa att=1*kgf/cm2 [psi]=1*[lbf_av]/[in_i]2 [lbf_av]=1*[lb_av].[g]
[in_i'H2O]=1*m[H2O].[in_i]/m [in_i'Hg]=1*m[Hg].[in_i]/m
[PRU]=1*mm[Hg].s/ml [wood'U]=1*mm[Hg].min/L [MET]=3.5*mL/min/kg [drp]=0.05*ml
[hnsf'U]=1*1 [HPF]=1*1 [LPF]=100*1 [NTU]=1*1 [FNU]=1*1 [car_Au]=1*/24 [car_m]=0.2*g [degR]=5*K/9
[in_i]=2.54*cm [ft_i]=12*[in_i] [yd_i]=3*[ft_i] [mi_i]=5280*[ft_i] [fth_i]=6*[ft_i]
[nmi_i]=1852*m [kn_i]=1*[nmi_i]/h [sin_i]=1*[in_i]2 [sft_i]=1*[ft_i]2 [syd_i]=1*[yd_i]2
[cin_i]=1*[in_i]3 [cft_i]=1*[ft_i]3 [cyd_i]=1*[yd_i]3 [bf_i]=144*[in_i]3 [cr_i]=128*[ft_i]3
[mil_i]=1e-3*[in_i] [cml_i]=1*[pi]/4.[mil_i]2 [hd_i]=4*[in_i] [mesh_i]=1*/[in_i]
[ft_us]=1200*m/3937 [yd_us]=3*[ft_us] [in_us]=1*[ft_us]/12 [rd_us]=16.5*[ft_us] [ch_us]=4*[rd_us]
[lk_us]=0.01*[ch_us] [rch_us]=100*[ft_us] [rlk_us]=0.01*[rch_us] [fth_us]=6*[ft_us]
[fur_us]=40*[rd_us] [mi_us]=8*[fur_us] [acr_us]=160*[rd_us]2 [srd_us]=1*[rd_us]2
[smi_us]=1*[mi_us]2 [sct]=1*[mi_us]2 [twp]=36*[sct] [mil_us]=1e-3*[in_us]
[in_br]=2.539998*cm [ft_br]=12*[in_br] [rd_br]=16.5*[ft_br] [ch_br]=4*[rd_br] [lk_br]=0.01*[ch_br]
[fth_br]=6*[ft_br] [pc_br]=2.5*[ft_br] [yd_br]=3*[ft_br] [mi_br]=5280*[ft_br]
[nmi_br]=6080*[ft_br] [kn_br]=1*[nmi_br]/h [acr_br]=4840*[yd_br]2
[gal_us]=231*[in_i]3 [bbl_us]=42*[gal_us] [qt_us]=1*[gal_us]/4 [pt_us]=1*[qt_us]/2
[gil_us]=1*[pt_us]/4 [foz_us]=1*[gil_us]/4 [fdr_us]=1*[foz_us]/8 [min_us]=1*[fdr_us]/60
[crd_us]=128*[ft_i]3 [bu_us]=2150.42*[in_i]3 [gal_wi]=1*[bu_us]/8 [pk_us]=1*[bu_us]/4
[dqt_us]=1*[pk_us]/8 [dpt_us]=1*[dqt_us]/2 [tbs_us]=1*[foz_us]/2 [tsp_us]=1*[tbs_us]/3
[cup_us]=16*[tbs_us] [foz_m]=30*mL [cup_m]=240*mL [tsp_m]=5*mL [tbs_m]=15*mL
[gal_br]=4.54609*l [pk_br]=2*[gal_br] [bu_br]=4*[pk_br] [qt_br]=1*[gal_br]/4 [pt_br]=1*[qt_br]/2
[gil_br]=1*[pt_br]/4 [foz_br]=1*[gil_br]/5 [fdr_br]=1*[foz_br]/8 [min_br]=1*[fdr_br]/60
[gr]=64.79891*mg [lb_av]=7000*[gr] [oz_av]=1*[lb_av]/16 [dr_av]=1*[oz_av]/16 [scwt_av]=100*[lb_av]
[lcwt_av]=112*[lb_av] [ston_av]=20*[scwt_av] [lton_av]=20*[lcwt_av] [stone_av]=14*[lb_av]
[pwt_tr]=24*[gr] [oz_tr]=20*[pwt_tr] [lb_tr]=12*[oz_tr] [sc_ap]=20*[gr] [dr_ap]=3*[sc_ap]
[oz_ap]=8*[dr_ap] [lb_ap]=12*[oz_ap] [oz_m]=28*g [den]=1*g/9/km
[lne]=1*[in_i]/12 [pnt]=1*[lne]/6 [pca]=12*[pnt] [pnt_pr]=0.013837*[in_i] [pca_pr]=12*[pnt_pr]
[pied]=32.48*cm [pouce]=1*[pied]/12 [ligne]=1*[pouce]/12 [didot]=1*[ligne]/6 [cicero]=12*[didot]
[Cal]=4.184*kJ [Btu_39]=1.05967*kJ [Btu_59]=1.0548*kJ [Btu_60]=1.05468*kJ [Btu_m]=1.05587*kJ
[Btu_IT]=1.05505585262*kJ [Btu_th]=1.05435*kJ [Btu]=1.05435*kJ [HP]=550*[ft_i].[lbf_av]/s
"""
"""Units that take no prefix."""

AFFINE = MappingProxyType(
    {
        "Cel": (Fraction(1), Fraction("273.15")),
        "[degF]": (Fraction(5, 9), Fraction("459.67") * Fraction(5, 9)),
        "[degRe]": (Fraction(5, 4), Fraction("273.15")),
    }
)
"""Temperatures with a zero of their own: kelvins = number × factor + offset."""

ARBITRARY_METRIC = ("[iU]", "Np", "B", "B[SPL]", "B[V]", "B[mV]", "B[uV]", "B[10.nV]", "B[W]",
                    "B[kW]")  # fmt: skip
ARBITRARY = (
    "[hp_X]", "[hp_C]", "[hp_M]", "[hp_Q]", "[kp_X]", "[kp_C]", "[kp_M]", "[kp_Q]", "[hp'_X]",
    "[hp'_C]", "[hp'_M]", "[hp'_Q]", "[arb'U]", "[USP'U]", "[GPL'U]", "[MPL'U]", "[APL'U]",
    "[beth'U]", "[anti'Xa'U]", "[todd'U]", "[dye'U]", "[smgy'U]", "[bdsk'U]", "[ka'U]", "[knk'U]",
    "[mclg'U]", "[tb'U]", "[CCID_50]", "[TCID_50]", "[EID_50]", "[PFU]", "[FFU]", "[CFU]", "[IR]",
    "[BAU]", "[AU]", "[Amb'a'1'U]", "[PNU]", "[Lf]", "[D'ag'U]", "[FEU]", "[ELU]", "[EU]",
    "[p'diop]", "%[slope]", "[pH]", "[m/s2/Hz^(1/2)]", "bit_s",
)  # fmt: skip
"""Units that compare only with themselves: of biological procedures, and logarithms."""
