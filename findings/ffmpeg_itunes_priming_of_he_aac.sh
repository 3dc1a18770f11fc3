#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg 8.1), HE-AAC in an m4a file with the tag iTunSMPB.
#
# The file below is a mono sound of 1.1 s at 32 kHz with a burst of 1 kHz from 0.25 s on, coded by fdkaac 1.0.0
# (libfdk-aac 2.0.2). Its track counts samples of 16 kHz, of which each packet holds 1024; its tag says that 2048
# lie before those that are heard, 832 behind, and that 17,600 are heard, which together are its 20 packets.
#
# Expected: the first 2048 ticks, 4096 samples of 32 kHz, are left out. The burst is then at 8,000 + 962: what
# codes the upper octave delays the sound by 481 ticks, which iTunes, and who writes as it does, do not count.
# Seen: 2048 samples are left out, the burst is 64 ms later. (FFmpeg 9.0 counts ticks.)
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==18.1.0 numpy==2.4.6
"$work/venv/bin/python" - "$work/a.m4a" <<'P'
import base64
import sys
import zlib

import av
import numpy as np

RATE = 32_000
FILE = """
c-
o~_2~<;88orO1umudeib@2Lu!peOl5s*<1Qb~f5Va*_fe=Ch2_jhAAm9iF+yE6tf(x<~L0KY;W5fkiI>x~jH3Fi*VCzzuR;zaI1FW{rnR905Kk
q;HyZ^oK-`{-~06^qPv&5kuzC-
{C9fe{K3SS};f@#v>rE|FeXcq}NEGa^>mK|n{s5*4eB{A+tM34D@&=<(UJ#uOoQ7OD`u}ER%DUGdbwOt%gu;VMgGe5tmb<^$x!1Vdn@vf|@T<@
%g9YJX~POtdWpwY5SHDI#W$K>zlZsSL8%$!FhHmq8IgSwp57<jq-
+f2c5{>pQ9)O>H3lcmRq7KS8k!vZI}M7;WiL{fhG3`UlyM#DuEg9!Z@;b`t0II-1w(wg)SN2m5ywWuL+OL)gI&GDC+xXC2}xkClaR#){^%-
=vmh)1lYm#wA$<+fe?V^+$-
u+F}l?HiA9B)K%!g$E<&8mpZjJuGI>1^ieI=Fp2^Pufoubr3HFUu%=2LTF^&&BJ6I07l?JSI<R{#!27Ouxfk(W|!mMM-
N#1Ii?39w<_m<!Fv~B@-0^|K)q^c7D~vyT=#Hn>DBRjh8=SIu*k|@jmzJwuH-4p!vr)9rux|8-
8Y=Jb+0;`Z*3q$RLHV$LSB^{*%Xg3KvTBca89v+x!aYZTz_EvX=Rsu*!%>0XKPo9cwN*x?xBphKJx_)mGzfGUM;vla$LAW{)8dkxC-
+)yMNxGxwOTneSXaN$jxn?kH?w}22zrP--de7uISq?QG@x2*B*Htg|BC0mvq7>AP?pc51O2Rz8l)i@-
;fQ)j63RZSMYO%lhgAykBfx>$J9Zo6YvQxMI=s$y;moNA5UZqZxP|@p81e&d|svB6opBC;b7<uXptP+|Oygc9fX#5~}s1QL6`d-
{{wy1Lty#$5uF;)ywlfg*6zErU!3|YC4VEu!;~59r1sLZCR|NGDVu{dAjt}wgz#mZ;;=U9wWyr!B(4<`@<3$DGWz5>fK32?S-
dzR|h)=E83|6Tw>1JXjY!PMT<MLNx^iwen$`$)3Pg5lhVKIVCC)w<(J61Iso<vS$_ydN5D4RJa72pwKU!Ney&1A>V*z$*npPYB49*8!Ye!6*7W
tY`;@GIEE5&FF%Kd%I&Ms^dwg=~z}~;64NUaPCa8G9cSag|UNJGbKf2=8qB7?q@^9)1Rlpjf!ywg6oauXn3m(+=JNGguxbU3>qb)Ca7l>n*DM*
Cp$P%TLzUfx3hpNf+@yknhif@uuPxx->3DfMUm3-
Cdv*^2+LnlpiT9C%j_{h^C&p5U+fYC<$$=c8a31AL$4vUsVw=#bD;Zo1&l9p!wI>Pdaf%KyIw~NY*cGiC*@!Ti9lAYz*+IYgF%1|pCakzaZqsN
Tmf1V~n?(MZ;s*XC84=@XE1M#%y)nrt!_I8O?lq%TT_%>r<TcY*qWY;Lbt=O{C+-bD(PK9Fb?WZEW!D3c&H}D--
#E|Hxb$$rjy2iL>tTmcBuQ0a4M(C4Sf2jQ8eXq12t7I_Ck)G8D455Bqw)GsK2e3KjCd3|<#y)RjwXWgwDD&!slFf5#lijX-FR#2}U>s;!e&kIY
XDH??`NWeo#B0&7FQ1=CzI^}9>J|3ezfR-6daUhk-(tXw++P<OZ|NBXdxlQd8{T1x9&mHw4$=;4y{>0Av@NdPf;a}nzO%il<|MLv_tAEXC8-
p;@lL&yCh|97$rJTA%$zsGl}p~}dkU;pzW8TBQCs^l-
;N{Qs$R7WCYl~T)hfVh1b4V7%ko66H~Au$rTy7+d{4vnrm=)wPOB>fvzyhJlM^|$Y<z!UNk&5Z-
V^$Cp3|r~fl}aX#x?~(tv@WYEXlZSM101ST~h>vlpm3=f?qbdOh_$Xx~{5!Ieu~k)21+^nVYMmLHe60Nv<Z;Z+uFhZ?unlb9iDy(%tIfpzqTnJ
(({SuCy=hjtlYM(-)&x^=P<QYXz>QJ~j9rILQFle+@0N`-PFUM45h|)hDSEduE7h_g3F)DA6;?En0jb?`-
^1AcjYz9tQokv9b<or~Fc2w8KWiMYErc_st#ne1GKN_^HHd6K}-
<rv&wVsZQfc!q<X3{`uMWcOz+>N#my#u^r8frxSKjfw}LZb=*iYm?SdRpC!Z6@CNCE_^gK7x%9Yg)P$V@^6L+adRtTXyt1$SlA>uBhuU6CtK*$
AF|{Xq9ZCteFq4;&3O5Y56fxa9U&K*V9QAY^>4N||NGK)Yvy`3cXYu%h((uJK$2af6j%`27>lhi_|4of6rR!Egg?|4}rCr&6{-
bMl`rP2ynbx!n9e3#Gl$5MJ8qpY%?_Ii?U(?KQf`z1!aq({90ARI7=j~#R=L{_;WPKm<mJ)+3h--
^*czvtpFT0foN}P^zb!sY<zkZf{@D;DHo6#HlAnsb(b(5x3-5z7!(R-b|Y~X(qF(eZ<t7wYYdGUj@4a8^3<^^osAe}OY3lYh*efgU-
?RjrCXI}MTbSL($2-
|CzwTxigcnXw?2>5FnOgq_S3$YBFqv`xn$y?y70swPaC=#uQZI&WjpTt4?ZPb1CI+OueCIbNajZ8fs=y#J(=QQviNee!f(sY&p;<Zx2luhjqHs
5Ot|J1~PWfxHjIeZobL?P$j$F=(W)W$_goRswUZ%ITMseiPRD&(i~&@)>ioK`eLi#gNs`J8kv?<1G+8R;p+X^c=L(u5R<lO<9K=c7GLcr#*s5(
WYY=zzKh$%`xDNKk;0$z-
;0oCQY<ni&8E0C)}p;PNXLO0cFnj7K#%h!B`sFh?SlN<PvIkEK~CCP5F_A4)K_rad#ljt96I%z^u|KZ??HrWQGn(R&;hjRs8l0KS}IRBsIAc(k
OD8IaLZW<riYuYxn{t7dq<M9LP;=tphCa~}f(#5O<|d@?vvm>I-f$d$g&(C<nF%bLy-
i&H)>5ssfCkwQSPm5NZspTqkl>wRi@907~PCc3$hUC2(v6n+8}IHM8|C~<Ql`q3kaZe&4%7)@K3GbGeSA(u7P32c$j1vSTY;YVkra?w4esVpIy
27pSULc{40=6!6DNS>i-u=G7}_aOhagp!AcANdb^|7Y+orR>(e
"""

with open(sys.argv[1], "wb") as file:
    file.write(zlib.decompress(base64.b85decode("".join(FILE.split()))))
with av.open(sys.argv[1]) as source:
    stream = source.streams.audio[0]
    print(f"time base {stream.time_base}, {stream.codec_context.profile}, {source.metadata['iTunSMPB']}")
    sound = np.concatenate([frame.to_ndarray()[0] for frame in source.decode(audio=0)])
times = np.arange(RATE // 20) / RATE
burst = np.sin(2 * np.pi * 1000 * times) * np.hanning(len(times))
alike = np.correlate(sound[: RATE // 2], burst, "valid")
place, first = int(np.argmax(alike)), RATE // 4
print(f"{len(sound)} samples, the burst at {place}: {1000 * (place - first) / RATE:.1f} ms late")
sys.exit(0 if abs(place - first - 962 - 2048) <= 2 else 1)
P
